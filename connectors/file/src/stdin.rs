//! The standard input. Reading it cannot be cancelled, so a thread of its own does it, which ends with the process.

use std::io::Read;

use bytes::Bytes;
use tokio::sync::mpsc;

const BLOCK: usize = 64 * 1024;

/// Starts reading; the channel holds one block, so that a slow reader holds back the writer. It closes at the end of the input.
pub fn read() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(1);
    let reader = move || {
        let mut buffer = vec![0; BLOCK];
        loop {
            match std::io::stdin().lock().read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    if sender.blocking_send(Bytes::copy_from_slice(&buffer[..read])).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "Reading the standard input failed.");
                    break;
                }
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("file-stdin".to_owned()).spawn(reader) {
        tracing::error!(%error, "The thread that reads the standard input could not be started.");
    }
    receiver
}
