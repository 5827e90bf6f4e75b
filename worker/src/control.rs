//! The control service: gRPC around [`Worker`], for the operator alone.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use barnabas_protocol::{
    Directive, ListPluginsRequest, ListPluginsResponse, Refused, Report, ValidateRequest, ValidateResponse,
    directive::Body, worker_server,
};
use futures::{Stream, StreamExt, future::Either};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, transport::Server, transport::server::Connected};

use crate::{Worker, config::Control, tls::Reloading};

/// Serves until `stop` resolves. Returns after the socket is bound, with the serving task.
pub async fn serve(
    worker: Worker,
    control: &Control,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listen = control.listen.ok_or_else(|| io::Error::other("`control.listen` is not set"))?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {listen} for the operator: {error}"))
    })?;
    let address = listener.local_addr()?;
    let incoming = match &control.tls {
        Some(files) => Either::Left(tls(listener, Reloading::start(files.clone())?)),
        None => Either::Right(plain(listener)),
    };
    let service = worker_server::WorkerServer::new(Service { worker })
        // A desired set carries the full configuration of every unit.
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(64 << 20);
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop);
    let task = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "The control service ended.");
        }
    });
    tracing::info!(%address, tls = control.tls.is_some(), "Listening for the operator.");
    Ok((address, task))
}

type Connection = Box<dyn Socket>;

/// What a connection has to be, with and without TLS.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection as tonic wants it.
struct Accepted(Connection);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                drop(stream.set_nodelay(true));
                return stream;
            }
            // Out of file descriptors, or a client that left: neither may end the service.
            Err(error) => {
                tracing::warn!(%error, "Could not accept a connection.");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn plain(listener: TcpListener) -> impl Stream<Item = io::Result<Accepted>> + Send {
    futures::stream::unfold(listener, |listener| async move {
        let stream = accept(&listener).await;
        Some((Ok(Accepted(Box::new(stream))), listener))
    })
}

/// Handshakes run beside each other, so that a silent client holds up nobody.
fn tls(listener: TcpListener, certificates: Reloading) -> impl Stream<Item = io::Result<Accepted>> + Send {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                stream = accept(&listener) => stream,
                () = sender.closed() => return,
            };
            let (acceptor, sender) = (certificates.acceptor(), sender.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => drop(sender.send(Ok(Accepted(Box::new(stream)))).await),
                    Ok(Err(error)) => tracing::warn!(%error, "Refused a connection to the control port."),
                    Err(_) => tracing::warn!("A connection to the control port did not finish its handshake."),
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

struct Service {
    worker: Worker,
}

#[tonic::async_trait]
impl worker_server::Worker for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<Report, Status>> + Send>>;

    async fn session(&self, request: Request<Streaming<Directive>>) -> Result<Response<Self::SessionStream>, Status> {
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(session(self.worker.clone(), request.into_inner(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn validate(&self, request: Request<ValidateRequest>) -> Result<Response<ValidateResponse>, Status> {
        let ValidateRequest { name, config, secrets } = request.into_inner();
        Ok(Response::new(self.worker.validate(&name, &config, &secrets).await))
    }

    async fn list_plugins(&self, _: Request<ListPluginsRequest>) -> Result<Response<ListPluginsResponse>, Status> {
        Ok(Response::new(ListPluginsResponse { plugins: self.worker.plugins() }))
    }
}

/// One operator's stream: its directives in, reports out, until either side ends it or a newer leader speaks.
async fn session(worker: Worker, mut directives: Streaming<Directive>, reports: mpsc::Sender<Result<Report, Status>>) {
    let term = match directives.next().await {
        Some(Ok(first)) if matches!(first.body, Some(Body::Hello(_))) => {
            let term = first.epoch.unwrap_or_default().term;
            if let Err(refused) = worker.apply(first) {
                return refuse(&worker, &reports, refused.newest).await;
            }
            term
        }
        Some(Ok(_)) => {
            drop(reports.send(Err(Status::failed_precondition("the first directive has to be a hello"))).await);
            return;
        }
        Some(Err(_)) | None => return,
    };
    let _counted = worker.session();
    let mut changes = worker.reports();
    changes.mark_changed();
    loop {
        tokio::select! {
            directive = directives.next() => match directive {
                Some(Ok(directive)) => {
                    if let Err(refused) = worker.apply(directive) {
                        return refuse(&worker, &reports, refused.newest).await;
                    }
                }
                Some(Err(error)) => {
                    tracing::info!(%error, "The operator's session broke.");
                    return;
                }
                None => return,
            },
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                let report = changes.borrow_and_update().clone();
                let newest = report.epoch.unwrap_or_default();
                // A newer leader has spoken on another session: this one is over.
                if newest.term > term {
                    return refuse(&worker, &reports, newest).await;
                }
                if reports.send(Ok(report)).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn refuse(worker: &Worker, reports: &mpsc::Sender<Result<Report, Status>>, newest: barnabas_protocol::Epoch) {
    tracing::warn!(%newest, "Refused an operator of an older epoch.");
    let report = Report { refused: Some(Refused { newest: Some(newest) }), ..worker.reports().borrow().clone() };
    drop(reports.send(Ok(report)).await);
}
