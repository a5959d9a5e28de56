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
    BackoffConfig, Error, ListResult, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;

use super::{BucketError, Fetched, Listed, Version};
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
        Ok(Self {
            store: match address.cloud {
                #[cfg(feature = "s3")]
                Cloud::S3 => {
                    s3(&address.bucket, retry).map_err(|error| unfit(error.to_string()))?
                }
                #[cfg(feature = "gs")]
                Cloud::Google => {
                    google(&address.bucket, retry).map_err(|error| unfit(error.to_string()))?
                }
                #[cfg(feature = "az")]
                Cloud::Azure => {
                    azure(&address.bucket, retry).map_err(|error| unfit(error.to_string()))?
                }
                #[cfg(not(all(feature = "s3", feature = "gs", feature = "az")))]
                _ => {
                    return Err(BucketError::NotBuilt {
                        address: address.to_string(),
                        scheme: address.cloud.scheme(),
                    });
                }
            },
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
                if !is_about_missing_bucket(&source.to_string()) =>
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
            Ok(Err(_elapsed)) => Err(BucketError::Unreachable {
                address: self.address.to_string(),
                action: action.to_owned(),
                reason: format!("no answer within {} s", TOTAL_LIMIT.as_secs()),
            }),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Classifies an error of the crate.
    fn classify(&self, action: &str, error: &Error) -> BucketError {
        let address = self.address.to_string();
        let action = action.to_owned();
        let scheme = self.address.cloud.scheme();
        let text = chain(error);
        let lost = network_cause(error);
        let reason = match &lost {
            Some(cause) => format!("{}{cause}", asked(&text)),
            None => shown(&text),
        };
        let refused = ["status code: 401", "status code: 403"];
        if METADATA.iter().any(|host| text.contains(host)) || is_about_missing_credentials(&text) {
            return BucketError::NoCredentials {
                address,
                reason,
                scheme,
            };
        }
        let is_generic = matches!(error, Error::Generic { .. });
        let is_refused = matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        );
        // Lists report the status only as text.
        if is_refused || (is_generic && refused.iter().any(|status| text.contains(status))) {
            BucketError::Refused {
                address,
                action,
                reason,
                scheme,
            }
        } else if matches!(error, Error::NotFound { .. })
            || (is_generic && (text.contains("status code: 404") || is_about_missing_bucket(&text)))
        {
            BucketError::NoBucket { address, reason }
        } else if is_generic && (lost.is_some() || text.contains("status code: 5")) {
            BucketError::Unreachable {
                address,
                action,
                reason,
            }
        } else {
            BucketError::Answer {
                address,
                action,
                reason,
            }
        }
    }
}

#[cfg(feature = "s3")]
fn s3(bucket: &str, retry: RetryConfig) -> Result<Box<dyn ObjectStore>, Error> {
    use object_store::ClientConfigKey::{ConnectTimeout, Timeout};
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey::Client};
    let mut builder = AmazonS3Builder::from_env();
    for (key, value) in [(Timeout, REQUEST), (ConnectTimeout, CONNECT)] {
        if builder.get_config_value(&Client(key)).is_none() {
            builder = builder.with_config(Client(key), value);
        }
    }
    let store = builder.with_bucket_name(bucket).with_retry(retry).build()?;
    Ok(Box::new(store))
}

#[cfg(feature = "gs")]
fn google(bucket: &str, retry: RetryConfig) -> Result<Box<dyn ObjectStore>, Error> {
    use object_store::ClientConfigKey::{ConnectTimeout, Timeout};
    use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey::Client};
    let mut builder = GoogleCloudStorageBuilder::from_env();
    for (key, value) in [(Timeout, REQUEST), (ConnectTimeout, CONNECT)] {
        if builder.get_config_value(&Client(key)).is_none() {
            builder = builder.with_config(Client(key), value);
        }
    }
    let store = builder.with_bucket_name(bucket).with_retry(retry).build()?;
    Ok(Box::new(store))
}

#[cfg(feature = "az")]
fn azure(container: &str, retry: RetryConfig) -> Result<Box<dyn ObjectStore>, Error> {
    use object_store::ClientConfigKey::{ConnectTimeout, Timeout};
    use object_store::azure::{AzureConfigKey::Client, MicrosoftAzureBuilder};
    let mut builder = MicrosoftAzureBuilder::from_env();
    for (key, value) in [(Timeout, REQUEST), (ConnectTimeout, CONNECT)] {
        if builder.get_config_value(&Client(key)).is_none() {
            builder = builder.with_config(Client(key), value);
        }
    }
    let store = builder
        .with_container_name(container)
        .with_retry(retry)
        .build()?;
    Ok(Box::new(store))
}

/// The error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

/// The root cause, if the request or its answer was lost in the network.
fn network_cause(error: &Error) -> Option<String> {
    let mut cause = error.source()?;
    let mut of_the_way = false;
    loop {
        of_the_way |= cause.is::<HttpError>();
        match cause.source() {
            Some(inner) => cause = inner,
            None => return of_the_way.then(|| cause.to_string()),
        }
    }
}

/// The requested server, from the text of an error.
fn asked(text: &str) -> String {
    let mut words = text.split_whitespace();
    let address = words.find_map(|word| {
        let (scheme, rest) = word.split_once("://")?;
        let host = rest.split(['/', '?', ')']).next()?;
        Some(format!("{scheme}://{host}: "))
    });
    address.unwrap_or_default()
}

/// Whether the error means that the bucket is missing, not an object in it.
fn is_about_missing_bucket(text: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"]
        .iter()
        .any(|code| text.contains(code))
}

fn is_about_missing_credentials(text: &str) -> bool {
    [
        "MissingAccountKey",
        "Account must be specified",
        "No credentials",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// A reason in one line: only code and message of a server's answer, because the rest repeats the signed request, and
/// addresses without their queries, which may contain a signature.
fn shown(text: &str) -> String {
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let said = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => text.to_owned(),
    };
    let words = said.split_whitespace().map(|word| {
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
        assert_eq!(asked(text), "https://account.host:1: ");
        assert_eq!(asked("no address"), "");
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
