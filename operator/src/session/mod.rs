//! gRPC sessions with worker pods: mutual TLS by the cluster's own authority.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use barnabas_protocol::{
    Directive, ListPluginsRequest, ListPluginsResponse, ValidateRequest, ValidateResponse, worker_client::WorkerClient,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::drive::link::{Link, LinkError, Reports};

/// The workers' control port.
pub const CONTROL_PORT: u16 = 9443;
/// A connection is given up when it takes longer to make.
const CONNECT: Duration = Duration::from_secs(3);
/// With the timeout below, a dead peer is noticed within five seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Validation may look at the outside system.
const VALIDATE: Duration = Duration::from_secs(30);
/// A report names every unit and its task configurations; far below this, but not below tonic's default of 4 MB.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// What the operator shows and whom it trusts, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The authorities that may have signed the worker's certificate.
    pub trust: String,
    /// The client certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// The way to one worker pod.
#[derive(Debug)]
pub struct PodLink {
    address: IpAddr,
    port: u16,
    server_name: String,
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
}

impl PodLink {
    /// A link to the pod at `address`, whose certificate must be valid for
    /// `server_name`. The credentials are read anew for every connection, so a
    /// rotation needs nothing but reconnecting.
    pub fn new(
        address: IpAddr,
        port: u16,
        server_name: String,
        credentials: watch::Receiver<Option<Arc<Credentials>>>,
    ) -> Self {
        Self { address, port, server_name, credentials }
    }

    async fn client(&self) -> Result<WorkerClient<Channel>, LinkError> {
        let mut changes = self.credentials.clone();
        let there = tokio::time::timeout(CONNECT, changes.wait_for(Option::is_some)).await;
        let credentials = there.ok().and_then(Result::ok).and_then(|credentials| credentials.clone());
        let credentials = credentials.ok_or_else(|| LinkError("the certificates are not ready yet".to_owned()))?;
        connect(self.address, self.port, &self.server_name, &credentials).await
    }
}

async fn connect(
    address: IpAddr,
    port: u16,
    server_name: &str,
    credentials: &Credentials,
) -> Result<WorkerClient<Channel>, LinkError> {
    let tls = ClientTlsConfig::new()
        .domain_name(server_name)
        .ca_certificate(Certificate::from_pem(&credentials.trust))
        .identity(Identity::from_pem(&credentials.cert, &credentials.key));
    let channel = Endpoint::from_shared(format!("https://{}", std::net::SocketAddr::new(address, port)))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|error| LinkError(format!("the control port of {server_name} cannot be dialled: {}", chain(&error))))?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(|error| LinkError(format!("{server_name} ({address}:{port}) cannot be reached: {}", chain(&error))))?;
    Ok(WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
}

/// Whether the pod accepts `credentials`, which are of an authority that does not sign yet.
/// A handshake alone does not tell (TLS 1.3): a call has to be answered.
pub async fn accepts(address: IpAddr, port: u16, server_name: &str, credentials: &Credentials) -> bool {
    let attempt = async {
        let mut client = connect(address, port, server_name, credentials).await?;
        client.list_plugins(ListPluginsRequest {}).await.map_err(|status| failed(&status))
    };
    matches!(tokio::time::timeout(CONNECT * 2, attempt).await, Ok(Ok(_)))
}

#[async_trait]
impl Link for PodLink {
    async fn open(&self, directives: mpsc::Receiver<Directive>) -> Result<Reports, LinkError> {
        let mut client = self.client().await?;
        // The worker may wait for the hello before it answers, and the hello comes only once the session counts as
        // open: so the answer is awaited inside the stream.
        let reports = async move {
            let answer = client.session(ReceiverStream::new(directives)).await?;
            Ok::<_, tonic::Status>(answer.into_inner())
        };
        let reports = futures::stream::once(reports).try_flatten();
        Ok(reports.map(|report| report.map_err(|status| failed(&status))).boxed())
    }

    async fn validate(&self, request: ValidateRequest) -> Result<ValidateResponse, LinkError> {
        let mut client = self.client().await?;
        let answer = tokio::time::timeout(VALIDATE, client.validate(request)).await;
        let answer = answer.map_err(|_| LinkError(format!("no answer within {} s", VALIDATE.as_secs())))?;
        Ok(answer.map_err(|status| failed(&status))?.into_inner())
    }

    async fn plugins(&self) -> Result<ListPluginsResponse, LinkError> {
        let mut client = self.client().await?;
        let answer = tokio::time::timeout(VALIDATE, client.list_plugins(ListPluginsRequest {})).await;
        let answer = answer.map_err(|_| LinkError(format!("no answer within {} s", VALIDATE.as_secs())))?;
        Ok(answer.map_err(|status| failed(&status))?.into_inner())
    }
}

fn failed(status: &tonic::Status) -> LinkError {
    LinkError(format!("{:?}: {}", status.code(), status.message()))
}

/// Transport errors say nothing by themselves; their causes do.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
