//! Folders of this machine in a container.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::super::LaunchError;
use super::address::{Address, Lookup, addresses};
use super::image::Image;
use crate::config::{DockerPlan, HfCache};

/// The Hugging Face cache in the home of an image that runs as root, and of vLLM's own user.
const IN_HOME: &str = ".cache/huggingface";

/// The mounts of a plan, checked before any request to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounts {
    /// Whether the engine is on this machine for certain. Folders of another engine are not checked.
    is_local: bool,
    binds: Vec<String>,
    hf_cache: Option<PathBuf>,
}

impl Mounts {
    /// With absolute paths. The Hugging Face cache may not exist yet.
    fn of(plan: &DockerPlan, lookup: Lookup<'_>) -> Result<Self, LaunchError> {
        let is_local = addresses(lookup)?.iter().all(Address::is_socket);
        let hf_cache = plan
            .hf_cache
            .as_ref()
            .map(|cache| hf_cache(cache, lookup, is_local))
            .transpose()?;
        let volumes = plan.volumes.iter();
        let binds = volumes.map(|volume| bind(volume, lookup, is_local));
        Ok(Self {
            is_local,
            binds: binds.collect::<Result<_, _>>()?,
            hf_cache,
        })
    }

    /// The same for a start, which creates the Hugging Face cache.
    pub(super) fn prepare(plan: &DockerPlan, lookup: Lookup<'_>) -> Result<Self, LaunchError> {
        let mounts = Self::of(plan, lookup)?;
        if let Some(folder) = &mounts.hf_cache
            && mounts.is_local
        {
            // Nothing was downloaded on this machine yet. The engine would create the folder too, but owned by root.
            std::fs::create_dir_all(folder).map_err(|error| no_cache(folder, error))?;
        }
        Ok(mounts)
    }

    /// The mounts as the engine takes them; the image decides where its server expects the cache.
    pub(super) fn into_binds(self, image: &Image, user: Option<&str>) -> Vec<String> {
        let mut binds = self.binds;
        if let Some(folder) = self.hf_cache {
            let inside = hf_cache_inside(image, user);
            if !is_taken(&binds, &inside) {
                binds.push(format!("{}:{inside}", folder.display()));
            }
        }
        binds
    }
}

/// Checks the folders of this machine that the plan mounts, and returns the Hugging Face cache, which may not exist yet.
pub fn mounted(plan: &DockerPlan, lookup: Lookup<'_>) -> Result<Option<PathBuf>, LaunchError> {
    Ok(Mounts::of(plan, lookup)?.hf_cache)
}

/// The mount with an absolute path. A host folder must exist: the engine would create an empty one, owned by root.
fn bind(volume: &str, lookup: Lookup<'_>, is_local: bool) -> Result<String, LaunchError> {
    let refuse = |reason: String| {
        LaunchError::setting(
            format!("server.docker.volumes: `{volume}`: {reason}"),
            "create the folder, or fix the entry (host:container[:ro])",
        )
    };
    let (host, container) = volume
        .split_once(':')
        .filter(|(host, container)| !host.is_empty() && container.starts_with('/'))
        .ok_or_else(|| refuse("not of the form host:container[:ro]".to_owned()))?;
    // `cache:/root/.cache` names a volume of the engine.
    if !host.starts_with(['/', '.', '~']) {
        return Ok(volume.to_owned());
    }
    let path = expanded(host, lookup).ok_or_else(|| refuse("`HOME` is not set".to_owned()))?;
    if !is_local {
        return Ok(format!("{}:{container}", path.display()));
    }
    let whole = std::fs::canonicalize(&path)
        .map_err(|error| refuse(format!("`{}`: {error}", path.display())))?;
    Ok(format!("{}:{container}", whole.display()))
}

/// The path with `~` replaced by the home folder; `None` if `HOME` is unset.
fn expanded(path: &str, lookup: Lookup<'_>) -> Option<PathBuf> {
    match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            Some(Path::new(&lookup("HOME")?).join(rest.trim_start_matches('/')))
        }
        _ => Some(PathBuf::from(path)),
    }
}

/// The folder of this machine that contains the Hugging Face cache. A configured folder must exist; the default one may
/// not exist yet.
fn hf_cache(cache: &HfCache, lookup: Lookup<'_>, is_local: bool) -> Result<PathBuf, LaunchError> {
    let named = match cache {
        HfCache::Folder(folder) => folder.clone(),
        HfCache::Usual => lookup("HF_HOME")
            .filter(|folder| !folder.is_empty())
            .unwrap_or_else(|| format!("~/{IN_HOME}")),
    };
    let path =
        expanded(&named, lookup).ok_or_else(|| no_cache(Path::new(&named), "`HOME` is not set"))?;
    let to_be_made = matches!(cache, HfCache::Usual) && !path.exists();
    if !is_local || to_be_made {
        return Ok(path);
    }
    let whole = std::fs::canonicalize(&path).map_err(|error| no_cache(&path, error))?;
    if !whole.is_dir() {
        return Err(no_cache(&whole, "not a folder"));
    }
    Ok(whole)
}

fn no_cache(folder: &Path, reason: impl Display) -> LaunchError {
    LaunchError::setting(
        format!("server.docker.hf_cache: `{}`: {reason}", folder.display()),
        "download the model first (hf download MODEL), or set the folder that contains it",
    )
}

/// Where the server in the container expects the cache.
fn hf_cache_inside(image: &Image, user: Option<&str>) -> String {
    if let Some(place) = image.variable("HF_HOME") {
        return place.trim_end_matches('/').to_owned();
    }
    let user = user.or(image.user.as_deref()).unwrap_or("root");
    let home = match image.variable("HOME") {
        Some(home) => home.trim_end_matches('/'),
        None if matches!(user.split(':').next(), Some("root" | "0" | "")) => "/root",
        None => "/home/vllm",
    };
    format!("{home}/{IN_HOME}")
}

/// Whether another mount already uses that path of the container.
fn is_taken(binds: &[String], place: &str) -> bool {
    binds.iter().any(|bind| {
        bind.split(':')
            .nth(1)
            .is_some_and(|inside| inside.trim_end_matches('/') == place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_folder_gets_its_absolute_path_and_must_exist() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("cache")).unwrap();
        let lookup = |name: &str| (name == "HOME").then(|| home.path().display().to_string());
        let whole = std::fs::canonicalize(home.path().join("cache")).unwrap();
        assert_eq!(
            bind("~/cache:/root/.cache:ro", &lookup, true).unwrap(),
            format!("{}:/root/.cache:ro", whole.display())
        );
        assert_eq!(bind("named:/data", &lookup, true).unwrap(), "named:/data");
        assert!(bind("/no/such/folder:/data", &lookup, true).is_err());
        assert!(bind("/no/such/folder:/data", &lookup, false).is_ok());
        let error = bind("/no/such/folder", &lookup, true).unwrap_err();
        insta::assert_snapshot!(error, @"server.docker.volumes: `/no/such/folder`: not of the form host:container[:ro]");
    }

    #[test]
    fn the_cache_is_in_the_folder_of_hugging_face() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().display().to_string();
        let only_home = |name: &str| (name == "HOME").then(|| path.clone());
        let typed = HfCache::Folder("~/.cache/hugingface".to_owned());
        let error = hf_cache(&typed, &only_home, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "server.docker.hf_cache: `{path}/.cache/hugingface`: No such file or directory (os error 2)"
            )
        );
        assert!(!error.hints().is_empty());
        let default = home.path().join(IN_HOME);
        let plan = crate::config::read_plan(
            "p",
            "model: m\nserver: {docker: {image: i, hf_cache: true}}",
        );
        let Some(crate::config::ServerPlan::Docker(plan)) = plan.unwrap().server else {
            unreachable!("the plan starts a container")
        };
        assert_eq!(mounted(&plan, &only_home).unwrap(), Some(default.clone()));
        assert!(!default.exists(), "only a start makes the folder");
        Mounts::prepare(&plan, &only_home).unwrap();
        assert!(default.is_dir(), "a fresh runner has no cache yet");
        let whole = std::fs::canonicalize(&default).unwrap();
        assert_eq!(hf_cache(&HfCache::Usual, &only_home, true).unwrap(), whole);
        let elsewhere = |name: &str| (name == "HF_HOME").then(|| path.clone());
        assert_eq!(
            hf_cache(&HfCache::Usual, &elsewhere, true).unwrap(),
            std::fs::canonicalize(home.path()).unwrap()
        );
        let named = HfCache::Folder("~/.cache/huggingface".to_owned());
        assert_eq!(hf_cache(&named, &only_home, true).unwrap(), whole);
    }

    #[test]
    fn in_the_container_it_is_in_the_home_of_its_user() {
        let image = |env: &[&str], user: Option<&str>| Image {
            env: env.iter().map(|line| (*line).to_owned()).collect(),
            user: user.map(str::to_owned),
            ..Image::default()
        };
        let inside = hf_cache_inside;
        assert_eq!(inside(&image(&[], None), None), "/root/.cache/huggingface");
        assert_eq!(
            inside(&image(&[], Some("0:0")), None),
            "/root/.cache/huggingface"
        );
        assert_eq!(
            inside(&image(&[], None), Some("2000:0")),
            "/home/vllm/.cache/huggingface"
        );
        assert_eq!(
            inside(&image(&[], Some("vllm")), None),
            "/home/vllm/.cache/huggingface"
        );
        assert_eq!(
            inside(&image(&["HOME=/app/"], None), None),
            "/app/.cache/huggingface"
        );
        assert_eq!(
            inside(&image(&["HF_HOME=/cache", "HOME=/app"], None), None),
            "/cache"
        );
    }

    #[test]
    fn a_used_path_is_recognised() {
        let binds = ["/a:/root/.cache/huggingface/:ro".to_owned()];
        assert!(is_taken(&binds, "/root/.cache/huggingface"));
        assert!(!is_taken(&binds, "/root/.cache"));
    }
}
