//! A real object store on loopback, SeaweedFS, and what the tests do to its objects behind perfgate's back.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{
    Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion, path,
};
use tokio::runtime::Runtime;

use crate::support::{Ran, Running, command, wait_until};

pub(super) const KEY: &str = "perfgate-test-key";
pub(super) const SECRET: &str = "perfgate-test-secret-value";

/// The bucket that is there.
const BUCKET: &str = "perf";

/// Where the tests keep their baselines.
pub(super) const LOCATION: &str = "s3://perf/team";

/// SeaweedFS, with everything that it keeps in a folder that goes with it.
pub(super) struct Server {
    process: Option<Running>,
    folder: tempfile::TempDir,
    pub(super) port: u16,
    store: AmazonS3,
    runtime: Runtime,
}

/// `None`, with a word, where the server's program is not at hand.
pub(super) fn start() -> Option<Server> {
    let Ok(program) = std::env::var("PERFGATE_TEST_SEAWEEDFS") else {
        eprintln!(
            "skipped: PERFGATE_TEST_SEAWEEDFS is not set; scripts/test installs SeaweedFS and sets it"
        );
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
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
    crate::support::write(
        folder.path(),
        "s3.json",
        &serde_json::json!({"identities": [{
            "name": "perfgate", "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Read", "Write", "List"]
        }]})
        .to_string(),
    );
    let flag = |name: &str, value: &dyn std::fmt::Display| format!("-{name}={value}");
    let here = folder.path().display();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(&program)
        .arg("server")
        .args(["-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
        .args([
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=8",
        ])
        .args([
            flag("dir", &here),
            flag("s3.config", &format_args!("{here}/s3.json")),
            flag("filer.localSocket", &format_args!("{here}/filer.sock")),
            flag("s3.localSocket", &format_args!("{here}/s3.sock")),
            flag("master.port", &master),
            flag("master.port.grpc", &master_grpc),
            flag("volume.port", &volume),
            flag("volume.port.grpc", &volume_grpc),
            flag("filer.port", &filer),
            flag("filer.port.grpc", &filer_grpc),
            flag("s3.port", &port),
            flag("s3.port.grpc", &s3_grpc),
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let process = Running(child);
    wait_until("SeaweedFS to listen", Duration::from_secs(60), || {
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_ok()
    });
    let shell = |line: String| {
        let mut shell = Command::new(&program)
            .args([
                "shell".to_owned(),
                flag("master", &format_args!("127.0.0.1:{master}.{master_grpc}")),
                flag("filer", &format_args!("127.0.0.1:{filer}.{filer_grpc}")),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        String::from_utf8_lossy(&shell.wait_with_output().unwrap().stdout).into_owned()
    };
    wait_until("the bucket", Duration::from_secs(60), || {
        shell(format!("s3.bucket.create -name {BUCKET}\n")).contains("created bucket")
            || shell("s3.bucket.list\n".to_owned()).contains(BUCKET)
    });
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
        folder,
        port,
        store,
        runtime: Runtime::new().unwrap(),
    })
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
        let put = |mode: PutMode| {
            let puts = (0..writers).map(|writer| {
                let (store, name) = (self.store.clone(), name.clone());
                let options = PutOptions::from(mode.clone());
                self.runtime.spawn(async move {
                    store
                        .put_opts(&name, writer.to_string().into(), options)
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
        let made: usize = put(PutMode::Create);
        let there = self.runtime.block_on(self.store.head(&name)).unwrap();
        let replaced: usize = put(PutMode::Update(UpdateVersion {
            e_tag: there.e_tag,
            version: there.version,
        }));
        made.max(replaced)
    }

    /// From now on nobody answers.
    pub(super) fn stop(&mut self) {
        self.process = None;
    }

    /// What the server wrote.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
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
