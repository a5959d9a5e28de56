//! Requests to a bucket: the only user of the crate `object_store`.
//!
//! That crate is asynchronous and the callers are not: every request runs on its own thread, so that callers
//! may run inside another runtime.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use object_store::client::HttpError;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, Error, ListResult, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;

use super::{BucketError, FailedRequest, Fetched, Listed, Version};
use crate::baseline::location::{BucketAddress, Cloud};
use crate::event::{Events, StorageEvent};

/// Time limit of a request. A request of a few megabytes takes a second.
const REQUEST: &str = "20 seconds";

/// Time limit of a connection. A reachable server accepts it within milliseconds.
const CONNECT: &str = "5 seconds";

/// Maximum retries after a temporary failure.
const MAX_RETRIES: usize = 3;

/// No retry after this time: a request that timed out is not repeated.
const RETRY: Duration = Duration::from_secs(10);

/// Time limit of all retries together: two requests and the wait between them.
const TOTAL_LIMIT: Duration = Duration::from_mins(1);

/// Interval of progress lines during a wait.
const STILL_WAITING: Duration = Duration::from_secs(5);

/// Hosts from which machines in a cloud get their credentials.
const METADATA: [&str; 5] = [
    "169.254.169.254",
    "169.254.170.2",
    "metadata.google.internal",
    "metadata/identity",
    "latest/api/token",
];

/// Texts of errors about missing credentials.
const MISSING_CREDENTIALS: [&str; 3] = [
    "MissingAccountKey",
    "Account must be specified",
    "No credentials",
];

/// Texts of errors about a missing bucket, not an object in it.
const MISSING_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];

/// Opens a bucket with the builder of its cloud, whose settings come from the environment. The builders have no common trait.
macro_rules! open {
    ($builder:ty, $client_key:path, $with_name:ident($name:expr), $retry:expr) => {{
        let mut builder = <$builder>::from_env();
        for (key, limit) in [
            (ClientConfigKey::Timeout, REQUEST),
            (ClientConfigKey::ConnectTimeout, CONNECT),
        ] {
            let key = $client_key(key);
            if builder.get_config_value(&key).is_none() {
                builder = builder.with_config(key, limit);
            }
        }
        let store = builder.$with_name($name).with_retry($retry).build();
        store.map(|store| Box::new(store) as Box<dyn ObjectStore>)
    }};
}

/// A client of one bucket.
#[derive(Debug)]
pub(super) struct Client {
    store: Box<dyn ObjectStore>,
    runtime: Runtime,
    address: BucketAddress,
    events: Events,
}

impl Client {
    /// Credentials and addresses come from the environment variables of each cloud's own tools.
    pub(super) fn of(address: &BucketAddress, events: &Events) -> Result<Self, BucketError> {
        let unfit = |reason: String| BucketError::Configuration {
            address: address.to_string(),
            reason: shown(&reason),
            scheme: address.cloud.scheme(),
        };
        crate::http::install_tls_provider();
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: MAX_RETRIES,
            retry_timeout: RETRY,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unfit(error.to_string()))?;
        let name = address.bucket.as_str();
        let opened = match address.cloud {
            #[cfg(feature = "s3")]
            Cloud::S3 => open!(
                object_store::aws::AmazonS3Builder,
                object_store::aws::AmazonS3ConfigKey::Client,
                with_bucket_name(name),
                retry
            ),
            #[cfg(feature = "gs")]
            Cloud::Google => open!(
                object_store::gcp::GoogleCloudStorageBuilder,
                object_store::gcp::GoogleConfigKey::Client,
                with_bucket_name(name),
                retry
            ),
            #[cfg(feature = "az")]
            Cloud::Azure => open!(
                object_store::azure::MicrosoftAzureBuilder,
                object_store::azure::AzureConfigKey::Client,
                with_container_name(name),
                retry
            ),
            #[cfg(not(all(feature = "s3", feature = "gs", feature = "az")))]
            _ => {
                return Err(BucketError::NotBuilt {
                    address: address.to_string(),
                    scheme: address.cloud.scheme(),
                });
            }
        };
        Ok(Self {
            store: opened.map_err(|error| unfit(error.to_string()))?,
            runtime,
            address: address.clone(),
            events: events.clone(),
        })
    }

    /// The entries of a folder below the prefix.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<Listed>, BucketError> {
        let below = self.path(folder);
        let action = "list its objects";
        let listed = self.answer(action, self.store.list_with_delimiter(Some(&below)));
        let listed: ListResult = listed?.map_err(|error| self.classify(action, &error))?;
        let folders = listed.common_prefixes.iter().map(|path| (path, true, None));
        let objects = listed
            .objects
            .iter()
            .map(|object| (&object.location, false, object.e_tag.clone()));
        let entries = folders
            .chain(objects)
            .filter_map(|(path, is_folder, e_tag)| {
                Some(Listed {
                    name: path.filename()?.to_owned(),
                    is_folder,
                    e_tag,
                })
            });
        Ok(entries.collect())
    }

    /// An object with its version; `None` if it does not exist.
    pub(super) fn get(&self, object: &str) -> Result<Option<Fetched>, BucketError> {
        let path = self.path(object);
        let action = format!("read {object}");
        let fetched = self.answer(&action, async {
            let answer = self.store.get(&path).await?;
            let version = Version {
                e_tag: answer.meta.e_tag.clone(),
                version: answer.meta.version.clone(),
            };
            let bytes = answer.bytes().await?.to_vec();
            Ok(Fetched { bytes, version })
        })?;
        match fetched {
            Ok(fetched) => Ok(Some(fetched)),
            Err(Error::NotFound { ref source, .. })
                if !MISSING_BUCKET
                    .iter()
                    .any(|mark| source.to_string().contains(mark)) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.classify(&action, &error)),
        }
    }

    /// A conditional put; `false` if the object changed since it was read.
    pub(super) fn put(
        &self,
        object: &str,
        bytes: Vec<u8>,
        replaced: Option<&Version>,
    ) -> Result<bool, BucketError> {
        let path = self.path(object);
        let action = format!("write {object}");
        let mode = match replaced {
            Some(version) => PutMode::Update(UpdateVersion {
                e_tag: version.e_tag.clone(),
                version: version.version.clone(),
            }),
            None => PutMode::Create,
        };
        let put = self
            .store
            .put_opts(&path, bytes.into(), PutOptions::from(mode));
        match self.answer(&action, put)? {
            Ok(_) => Ok(true),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.classify(&action, &error)),
        }
    }

    fn path(&self, below: &str) -> Path {
        let parts = [self.address.prefix.as_str(), below];
        let filled: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let name = filled.join("/");
        // Valid names are used unchanged, so that other tools find the same object.
        Path::parse(&name).unwrap_or_else(|_unusual| Path::from(name))
    }

    /// Waits for an answer up to a limit and reports long waits.
    fn answer<T: Send>(
        &self,
        action: &str,
        question: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<Result<T, Error>, BucketError> {
        let waiting = async {
            let mut question = std::pin::pin!(question);
            let mut ticks = tokio::time::interval(STILL_WAITING);
            ticks.tick().await;
            loop {
                tokio::select! {
                    answer = &mut question => return answer,
                    _ = ticks.tick() => {
                        self.events.emit(StorageEvent::Waiting {
                            address: self.address.to_string(),
                            action: action.to_owned(),
                        });
                    }
                }
            }
        };
        let answered = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.runtime
                    .block_on(async { tokio::time::timeout(TOTAL_LIMIT, waiting).await })
            });
            thread.join()
        });
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_elapsed)) => {
                let reason = format!("no answer within {} s", TOTAL_LIMIT.as_secs());
                Err(BucketError::Unreachable(self.failed(action, reason)))
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Classifies an error of the crate.
    fn classify(&self, action: &str, error: &Error) -> BucketError {
        let text = chain(error);
        let lost = network_cause(error);
        let reason = match &lost {
            Some(cause) => format!("{}{cause}", requested_server(&text)),
            None => shown(&text),
        };
        let failed = self.failed(action, reason);
        let has = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
        // Lists report the status only as text.
        let is_generic = matches!(error, Error::Generic { .. });
        let is_refused = matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        ) || (is_generic && has(&["status code: 401", "status code: 403"]));
        let is_absent = matches!(error, Error::NotFound { .. })
            || (is_generic && (has(&["status code: 404"]) || has(&MISSING_BUCKET)));
        if has(&METADATA) || has(&MISSING_CREDENTIALS) {
            BucketError::NoCredentials(failed)
        } else if is_refused {
            BucketError::Refused(failed)
        } else if is_absent {
            BucketError::NoBucket(failed)
        } else if is_generic && (lost.is_some() || has(&["status code: 5"])) {
            BucketError::Unreachable(failed)
        } else {
            BucketError::Answer(failed)
        }
    }

    fn failed(&self, action: &str, reason: String) -> FailedRequest {
        FailedRequest {
            address: self.address.to_string(),
            action: action.to_owned(),
            reason,
            scheme: self.address.cloud.scheme(),
        }
    }
}

/// The error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = inner.source();
    }
    text
}

/// The root cause, if the request or its answer was lost in the network.
fn network_cause(error: &Error) -> Option<String> {
    let mut cause = error.source()?;
    let mut is_http = false;
    loop {
        is_http |= cause.is::<HttpError>();
        match cause.source() {
            Some(inner) => cause = inner,
            None => return is_http.then(|| cause.to_string()),
        }
    }
}

/// The requested server, from the text of an error.
fn requested_server(text: &str) -> String {
    let mut words = text.split_whitespace();
    let address = words.find_map(|word| {
        let (scheme, rest) = word.split_once("://")?;
        let host = rest.split(['/', '?', ')']).next()?;
        Some(format!("{scheme}://{host}: "))
    });
    address.unwrap_or_default()
}

/// A reason in one line: only code and message of a server's answer, because the rest repeats the signed request, and
/// addresses without their queries, which may contain a signature.
fn shown(text: &str) -> String {
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let message = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => text.to_owned(),
    };
    let words = message.split_whitespace().map(|word| {
        let is_address = word.contains("://");
        word.split_once('?')
            .filter(|_| is_address)
            .map_or(word, |(address, _)| address)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requested_server_is_named_without_its_path() {
        let text = "Error performing GET https://account.host:1/x?sig=SECRET in 3 s";
        assert_eq!(requested_server(text), "https://account.host:1: ");
        assert_eq!(requested_server("no address"), "");
    }

    #[test]
    fn a_reason_has_only_code_and_message_and_no_signature() {
        let answer = "Server returned non-2xx status code: 403 Forbidden: <?xml?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature\n is wrong</Message><StringToSign>AWS4 KEY</StringToSign></Error>";
        assert_eq!(
            shown(answer),
            "SignatureDoesNotMatch: The signature is wrong"
        );
        let way =
            "Error performing GET https://account/container/x?sv=1&sig=SECRET in 3 s: no route";
        assert_eq!(
            shown(way),
            "Error performing GET https://account/container/x in 3 s: no route"
        );
    }
}
