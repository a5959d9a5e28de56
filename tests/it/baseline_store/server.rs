//! A real object store on loopback, SeaweedFS, and what the tests do to its objects behind perfgate's back.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{
    Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion, path,
};
use tokio::runtime::Runtime;

use crate::support::{Ran, Running, command};

pub(super) const KEY: &str = "perfgate-test-key";
pub(super) const SECRET: &str = "perfgate-test-secret-value";

/// A start takes four seconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The bucket that is there.
const BUCKET: &str = "perf";

/// Where the tests keep their baselines.
pub(super) const LOCATION: &str = "s3://perf/team";

/// SeaweedFS, with everything that it keeps in a folder that goes with it.
pub(super) struct Server {
    process: Option<Running>,
    _folder: tempfile::TempDir,
    pub(super) port: u16,
    store: AmazonS3,
    runtime: Runtime,
}

/// `None`, with a word, where the server's program is not at hand.
pub(super) fn start() -> Option<Server> {
    let Some(program) = std::env::var_os("PERFGATE_TEST_SEAWEEDFS") else {
        eprintln!(
            "skipped: PERFGATE_TEST_SEAWEEDFS is not set; scripts/test installs SeaweedFS and sets it"
        );
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    crate::support::write(
        folder.path(),
        "s3.json",
        &serde_json::json!({"identities": [{
            "name": "perfgate", "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Read", "Write", "List"]
        }]})
        .to_string(),
    );
    // Somebody else may take a port in the moment between choosing and using it.
    let mut tries = 0;
    let (process, port) = loop {
        if let Some(started) = try_to_start(&program, folder.path()) {
            break started;
        }
        tries += 1;
        assert!(tries < 5, "{}", log(folder.path()));
    };
    perfgate::http::install_tls_provider();
    let store = AmazonS3Builder::new()
        .with_endpoint(format!("http://127.0.0.1:{port}"))
        .with_allow_http(true)
        .with_access_key_id(KEY)
        .with_secret_access_key(SECRET)
        .with_bucket_name(BUCKET)
        .build()
        .unwrap();
    Some(Server {
        process: Some(process),
        _folder: folder,
        port,
        store,
        runtime: Runtime::new().unwrap(),
    })
}

/// The server with its bucket, and the port of S3; `None` where it ended at once.
fn try_to_start(program: &OsStr, folder: &Path) -> Option<(Running, u16)> {
    let [
        master,
        master_grpc,
        volume,
        volume_grpc,
        filer,
        filer_grpc,
        port,
        s3_grpc,
    ] = free_ports();
    let here = folder.display();
    let flags = format!(
        "-s3 -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false -master.volumeSizeLimitMB=64 -volume.max=8 \
         -dir={here} -s3.config={here}/s3.json -filer.localSocket={here}/filer.sock -s3.localSocket={here}/s3.sock \
         -master.port={master} -master.port.grpc={master_grpc} -volume.port={volume} -volume.port.grpc={volume_grpc} \
         -filer.port={filer} -filer.port.grpc={filer_grpc} -s3.port={port} -s3.port.grpc={s3_grpc} \
         -s3.port.iceberg=0 -s3.port.lance=0"
    );
    let output = std::fs::File::create(folder.join("log")).unwrap();
    let child = Command::new(program)
        .arg("server")
        .args(flags.split_whitespace())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut process = Running(child);
    let master = format!("-master=127.0.0.1:{master}.{master_grpc}");
    let filer = format!("-filer=127.0.0.1:{filer}.{filer_grpc}");
    let began = Instant::now();
    loop {
        if process.0.try_wait().unwrap().is_some() {
            return None;
        }
        let listens = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_ok();
        let line = format!("s3.bucket.create -name {BUCKET}\ns3.bucket.list\n");
        if listens && shell(program, &[&master, &filer], &line).contains(BUCKET) {
            return Some((process, port));
        }
        assert!(began.elapsed() < PATIENCE, "{}", log(folder));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the server's own shell answers to a line; ended where it waits for a server that is gone.
fn shell(program: &OsStr, flags: &[&str], line: &str) -> String {
    let mut shell = Running(
        Command::new(program)
            .arg("shell")
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut stdin = shell.0.stdin.take().unwrap();
    stdin.write_all(line.as_bytes()).unwrap();
    drop(stdin);
    let began = Instant::now();
    while shell.0.try_wait().unwrap().is_none() && began.elapsed() < PATIENCE / 4 {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(shell.0.kill());
    let mut output = String::new();
    let read = shell.0.stdout.take().unwrap().read_to_string(&mut output);
    read.map_or_else(|error| error.to_string(), |_| output)
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// A name that no other race has.
fn uniquely() -> u128 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    since.as_nanos()
}

/// Ports that nobody listened on a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Server {
    /// A command that finds this server.
    pub(super) fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        through(self.port, folder, arguments)
    }

    pub(super) fn run(&self, folder: &Path, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(folder, arguments).output().unwrap())
    }

    /// An object of the tests' prefix, byte for byte.
    pub(super) fn get(&self, name: &str) -> Vec<u8> {
        let path = path::Path::from(format!("team/{name}"));
        self.runtime.block_on(async {
            let answer = self.store.get(&path).await.unwrap();
            answer.bytes().await.unwrap().to_vec()
        })
    }

    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8(self.get(name)).unwrap()
    }

    /// Puts an object without asking what is there.
    pub(super) fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let path = path::Path::from(format!("team/{name}"));
        let put = self.store.put(&path, bytes.into().into());
        self.runtime.block_on(put).unwrap();
    }

    /// How many of so many who make the same object at once, and of as many who then replace it, win: the greater of both.
    pub(super) fn race(&self, writers: usize) -> usize {
        let name = path::Path::from(format!("race/{}", uniquely()));
        // Equal contents have equal tags: one who replaces an object by what it holds leaves it as it was for the next.
        let put = |mode: PutMode, what: &'static str| {
            let puts = (0..writers).map(|writer| {
                let (store, name) = (self.store.clone(), name.clone());
                let options = PutOptions::from(mode.clone());
                self.runtime.spawn(async move {
                    store
                        .put_opts(&name, format!("{what} by {writer}").into(), options)
                        .await
                })
            });
            let puts: Vec<_> = puts.collect();
            self.runtime.block_on(async {
                let mut won = 0;
                for put in puts {
                    match put.await.unwrap() {
                        Ok(_) => won += 1,
                        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                won
            })
        };
        let made: usize = put(PutMode::Create, "made");
        let there = self.runtime.block_on(self.store.head(&name)).unwrap();
        let as_it_is = UpdateVersion {
            e_tag: there.e_tag,
            version: there.version,
        };
        let replaced: usize = put(PutMode::Update(as_it_is), "replaced");
        made.max(replaced)
    }

    /// From now on nobody answers.
    pub(super) fn stop(&mut self) {
        self.process = None;
    }
}

/// A command with the environment of S3's own tools, copies in a folder of its own, and the server at that port.
pub(super) fn through(port: u16, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["AWS_", "GOOGLE_", "AZURE_"]
            .iter()
            .any(|cloud| name.starts_with(cloud))
        {
            command.env_remove(name);
        }
    }
    command
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}
