//! Quotas of clients, which librdkafka's admin client does not know.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many bytes a second a producer may write (`producer_byte_rate` of its `client.id`), or no limit again.
///
/// The request is AlterClientQuotas, version 0.
pub async fn limit_producer(kafka: &str, client_id: &str, bytes_per_second: Option<f64>) {
    let string = |text: &str| [&(text.len() as i16).to_be_bytes(), text.as_bytes()].concat();
    const ONE: [u8; 4] = 1_i32.to_be_bytes();
    const CORRELATION: [u8; 4] = 7_i32.to_be_bytes();
    let request = [
        &49_i16.to_be_bytes()[..],
        &0_i16.to_be_bytes(),
        &CORRELATION,
        &string("test"),
        // One entry, of one entity, with one operation.
        &ONE,
        &ONE,
        &string("client-id"),
        &string(client_id),
        &ONE,
        &string("producer_byte_rate"),
        &bytes_per_second.unwrap_or_default().to_be_bytes(),
        &[u8::from(bytes_per_second.is_none())],
        // It is meant.
        &[0],
    ]
    .concat();
    let mut broker = TcpStream::connect(kafka).await.unwrap();
    broker.write_i32(request.len() as i32).await.unwrap();
    broker.write_all(&request).await.unwrap();
    let mut answer = vec![0; broker.read_i32().await.unwrap() as usize];
    broker.read_exact(&mut answer).await.unwrap();
    // Correlation, throttle time, one entry, its error.
    assert_eq!(answer[..4], CORRELATION);
    assert_eq!(answer[8..14], [0, 0, 0, 1, 0, 0], "{}", String::from_utf8_lossy(&answer));
}
