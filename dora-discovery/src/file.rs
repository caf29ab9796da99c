//! A file of instances that somebody keeps current.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dora_core::discovery::directory::Directory;
use dora_core::discovery::discover::{Discover, Listing};
use dora_core::discovery::record::InstanceRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::sleep;
use tower::BoxError;

use crate::backend::Backend;
use crate::error::TargetError;
use crate::json;
use crate::url::TargetUrl;

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The most bytes of a file: a thousand records of the largest size.
const MAX_FILE: u64 = 64 << 20;

#[derive(Debug)]
struct File {
    path: PathBuf,
    format: Format,
}

/// How the instances are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `{"instances": [record, ..]}`.
    Json,
    /// `[[instances]]`, with the keys of a record.
    Toml,
}

/// Reads the file when it has changed.
struct Watched {
    path: PathBuf,
    format: Format,
    last: Option<(Vec<u8>, Said)>,
}

/// What a file says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    listing: Listing,
    /// When its writer knew that it was so: what a monitor writes again and again.
    updated: Option<SystemTime>,
}

pub(crate) fn open(url: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    if !url.rest.starts_with('/') {
        return Err(TargetError::new("a file has no host; write \"file:///etc/dora/servers.json\", say"));
    }
    let path = percent_encoding::percent_decode_str(&url.rest).decode_utf8();
    let path = PathBuf::from(path.map_err(|_| TargetError::new("the path must be UTF-8"))?.as_ref());
    let format = Format::of(&path)?;
    Ok(Arc::new(File { path, format }))
}

impl Backend for File {
    fn directory(&self, _: Option<&str>) -> Directory {
        Watched { path: self.path.clone(), format: self.format, last: None }.into()
    }
}

impl Format {
    /// The one that the name of a file says.
    pub(crate) fn of(path: &Path) -> Result<Self, TargetError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("toml") => Ok(Self::Toml),
            _ => Err(TargetError::new("the name of the file says how it is written: .json or .toml")),
        }
    }

    /// What a file says. Records that are none are passed over and counted.
    pub(crate) fn read(self, text: &[u8]) -> Result<Said, BoxError> {
        match self {
            Self::Json => read_json(text),
            Self::Toml => read_toml(text),
        }
    }

    /// A file that says these, and when a registry had confirmed them.
    ///
    /// # Errors
    /// A record is not as it must be.
    pub(crate) fn write(
        self,
        instances: &[Arc<InstanceRecord>],
        confirmed: SystemTime,
    ) -> Result<Vec<u8>, BoxError> {
        let updated = confirmed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for instance in instances {
            instance.check()?;
        }
        let instances = instances.iter().map(|instance| json::Written::from(&**instance)).collect();
        let list = Written { updated, instances };
        Ok(match self {
            // A record on a line, so that a person finds one, and reads what has changed.
            Self::Json => serde_json::to_string(&list)?.replace("{\"v\":", "\n{\"v\":").into_bytes(),
            Self::Toml => toml::to_string(&list)?.into_bytes(),
        })
    }
}

impl Discover for Watched {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        if self.last.is_some() {
            sleep(PERIOD).await;
        }
        let result = self.look().await;
        result.map_err(|error| format!("{}: {error}", self.path.display()).into())
    }

    fn name(&self) -> String {
        format!("file://{}", self.path.display())
    }
}

impl Watched {
    async fn look(&mut self) -> Result<Listing, BoxError> {
        let path = self.path.clone();
        let (bytes, modified) = tokio::task::spawn_blocking(move || read_whole(&path)).await??;
        let said = match self.last.take() {
            Some((before, said)) if before == bytes => said,
            _ => self.format.read(&bytes)?,
        };
        // As old as it says; else as old as the file is.
        let since = said.updated.unwrap_or(modified);
        let age = SystemTime::now().duration_since(since).unwrap_or_default();
        let listing = said.listing.clone().with_age(age);
        self.last = Some((bytes, said));
        Ok(listing)
    }
}

fn read_whole(path: &Path) -> Result<(Vec<u8>, SystemTime), BoxError> {
    use std::io::Read;

    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    let modified = file.metadata()?.modified()?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(format!("it has over {MAX_FILE} bytes").into()),
        false => Ok((bytes, modified)),
    }
}

impl Said {
    fn new(records: impl Iterator<Item = Result<InstanceRecord, BoxError>>, updated: Option<u64>) -> Self {
        let (good, bad): (Vec<_>, Vec<_>) = records.partition(Result::is_ok);
        let listing: Listing = good.into_iter().flatten().collect();
        let updated = updated.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        Self { listing: listing.with_skipped(bad.len()), updated }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    updated: u64,
    instances: Vec<json::Written<'a>>,
}

fn read_toml(text: &[u8]) -> Result<Said, BoxError> {
    #[derive(Deserialize)]
    struct Instances {
        updated: Option<u64>,
        #[serde(default)]
        instances: Vec<toml::Value>,
    }

    let list: Instances = toml::from_str(str::from_utf8(text)?)?;
    let records = list.instances.into_iter().map(|value| {
        let written = json::Written::deserialize(value).map_err(BoxError::from)?;
        InstanceRecord::try_from(written).map_err(BoxError::from)
    });
    Ok(Said::new(records, list.updated))
}

fn read_json(text: &[u8]) -> Result<Said, BoxError> {
    #[derive(Deserialize)]
    struct Instances<'a> {
        updated: Option<u64>,
        #[serde(borrow)]
        instances: Vec<&'a RawValue>,
    }

    let list: Instances<'_> = serde_json::from_slice(text)?;
    let records = list.instances.iter().map(|raw| Ok(json::decode(raw.get().as_bytes())?));
    Ok(Said::new(records, list.updated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_records_are_passed_over_and_counted() {
        let text = br#"{"instances": [
            {"v":1,"address":"a:1","generation":"1","groups":["shop"]},
            {"v":9,"address":"b:1","generation":"1"}, 7, {}
        ]}"#;
        let listing = read_json(text).expect("a list").listing;
        assert_eq!((listing.instances.len(), listing.skipped), (1, 3));
        assert!(read_json(b"{\"instances\": [").is_err(), "half a file is an error, and not an empty list");
    }

    #[test]
    fn what_is_written_is_read_in_each_format() {
        let known = [
            InstanceRecord::new("[::1]:9567")
                .with_group("it's \"\u{e9}\" {\"v\":")
                .with_service("users.v1.Users", "1.0")
                .with_weight(3)
                .with_zone("eu-1a")
                .with_ability("php")
                .with_metadata("build", "{\"v\":1}\n"),
            InstanceRecord::unknown("unix:/run/x.sock"),
        ];
        let known = known.map(Arc::new);
        let updated = UNIX_EPOCH + Duration::from_secs(1_795_224_408);
        for (format, said) in
            [(Format::Json, "\"updated\":1795224408"), (Format::Toml, "updated = 1795224408")]
        {
            let text = format.write(&known, updated).expect("good records");
            assert!(String::from_utf8_lossy(&text).contains(said), "{}", String::from_utf8_lossy(&text));
            let read = format.read(&text).expect("what was written");
            assert_eq!((&*read.listing.instances, read.listing.skipped), (&known[..], 0), "{format:?}");
            assert_eq!(read.updated, Some(updated));
            let nobody = format.write(&[], updated).expect("nothing wrong");
            assert!(format.read(&nobody).expect("what was written").listing.instances.is_empty());
        }
        let half = b"[[instances]]\nv = 1\naddress = \"a:1\"\ngeneration = \"1\"\n[[instances]]\nv = 9\n";
        let listing = Format::Toml.read(half).expect("a list").listing;
        assert_eq!((listing.instances.len(), listing.skipped), (1, 1));
        assert!(Format::Toml.read(b"[[instances]]\nv = ").is_err());
    }

    #[test]
    fn a_path_is_absolute_and_says_how_it_is_written() {
        let error = |text: &str| {
            let mut url = TargetUrl::parse(text).expect("a url");
            open(&mut url).expect_err(text).to_string()
        };
        assert!(error("file://etc/x.json").contains("no host"));
        assert!(error("file:///etc/x.ini").contains(".json"));
    }
}
