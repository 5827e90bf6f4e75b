//! As much of an HTTP server as a test needs, with TLS or without, and a proxy that counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A request, as it came.
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Status and body.
pub type Response = (u16, Vec<u8>);

/// Answers all requests until the end of the test; the URL of the server.
pub fn serve(tls: Option<Arc<ServerConfig>>, handler: impl Fn(Request) -> Response + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = match &tls {
        // Certificates are for a name.
        Some(_) => format!("https://localhost:{}", listener.local_addr().unwrap().port()),
        None => format!("http://{}", listener.local_addr().unwrap()),
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, tls, handler) = (stream.unwrap(), tls.clone(), handler.clone());
            std::thread::spawn(move || match tls {
                None => exchange(stream, &handler),
                Some(tls) => exchange(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), &handler),
            });
        }
    });
    url
}

fn exchange(stream: impl Read + Write, handler: &impl Fn(Request) -> Response) {
    let mut stream = BufReader::new(stream);
    // A client that goes away, or does not trust us, is no failure here.
    while let Some(request) = read(&mut stream) {
        let (status, body) = handler(request);
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = [head.as_bytes(), &body].concat();
        if stream.get_mut().write_all(&answer).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("Content-Length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// A server that takes connections and says nothing; its URL. They stay open as long as the test.
pub fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open: Vec<TcpStream> = Vec::new();
        listener.incoming().for_each(|stream| open.push(stream.unwrap()));
    });
    url
}

/// An authority with a server's and a client's certificate, in PEM.
pub struct Pki {
    pub ca: String,
    /// Of the client: the key, then the certificate.
    pub identity: (String, String),
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let client = CertificateParams::new(["client".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        Self { ca: issuer.pem(), identity: (key.serialize_pem(), client.pem()), issuer }
    }

    /// For a server called localhost, which may want to see the client's certificate.
    pub fn server(&self, ask_client: bool) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.unwrap();
        let builder = if ask_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

/// Stands in front of a registry and remembers what went through.
pub struct Proxy {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// In front of a registry, with TLS where it has a configuration, and closed to who has not this authorization.
    pub fn start(upstream: &str, tls: Option<Arc<ServerConfig>>, authorization: Option<&'static str>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (requests, upstream) = (Arc::clone(&seen), upstream.to_owned());
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = serve(tls, move |request| {
            requests.lock().unwrap().push(format!("{} {}", request.method, request.path));
            if authorization.is_some() && request.header("Authorization") != authorization {
                return (401, br#"{"error_code":401,"message":"Who are you?"}"#.to_vec());
            }
            let address = format!("{upstream}{}", request.path);
            let mut answer = match request.method.as_str() {
                "GET" => agent.get(&address).call(),
                _ => agent
                    .post(&address)
                    .content_type(request.header("Content-Type").unwrap_or_default())
                    .send(&request.body[..]),
            }
            .unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
        });
        Self { url, seen }
    }

    /// What went through since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}
