//! The monitor's files, as real PHP and targets `file://..` read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dora::BoxError;
use dora::discovery::{Directory, Discover, InstanceRecord, Listing, Monitor, MonitorError, Target};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder, gone with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("monitor-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A registry that says what the test does.
struct Feed(mpsc::Receiver<Result<Listing, BoxError>>);

impl Discover for Feed {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        match self.0.recv().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

type Say = mpsc::Sender<Result<Listing, BoxError>>;

fn feed() -> (Say, Directory) {
    let (say, said) = mpsc::channel(1);
    (say, Directory::new(Feed(said)).lease(Duration::from_millis(1)))
}

async fn say(feed: &Say, records: impl IntoIterator<Item = InstanceRecord>) {
    feed.send(Ok(records.into_iter().collect())).await.expect("it listens");
}

/// A monitor that runs until it is told to end.
struct Running(oneshot::Sender<()>, JoinHandle<Result<(), MonitorError>>);

impl Running {
    fn start(monitor: Monitor) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        Self(end, tokio::spawn(monitor.run(async { drop(ended.await) })))
    }

    async fn end(self) {
        drop(self.0);
        timeout(PATIENCE, self.1).await.expect("it ends").expect("it does not panic").expect("it can write");
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What PHP makes of this code, as JSON.
fn php(code: &str) -> Value {
    let output = Command::new("php").args(["-d", "opcache.enable_cli=0", "-r", code]).output().expect("php");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{code}:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said}"))
}

fn recorded() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/discovery.php82.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(path).expect(path)).expect("JSON");
    recorded["cases"].as_array().expect("cases").clone()
}

/// The instances of a recorded file, as PHP reads it.
fn instances(file: &Path) -> Vec<InstanceRecord> {
    let groups = php(&format!("echo json_encode(include '{}');", file.display()));
    let mut records: Vec<InstanceRecord> = Vec::new();
    for (group, servers) in groups.as_object().expect("groups") {
        for server in servers.as_object().expect("servers").values() {
            let address = format!("{}:{}", server["ip"].as_str().expect("ip"), server["port"]);
            match records.iter_mut().find(|record| record.address == address) {
                Some(record) => drop(record.groups.insert(group.clone())),
                None => records.push(InstanceRecord::unknown(address).with_group(group)),
            }
        }
    }
    records
}

/// Times are those of the recording; whatever is recorded as one stands for all.
fn without_times(file: &str) -> String {
    let time = |line: &str| line.trim_start().starts_with("'updatetime' => '");
    file.lines().map(|line| if time(line) { "'updatetime'" } else { line }).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn php_reads_what_the_original_wrote() {
    for case in recorded() {
        let name = case["name"].as_str().expect("a name");
        let original = case["client_conf_php"].as_str().expect("a file");
        let folder = Folder::new();
        let (theirs, ours) = (folder.file("theirs.php"), folder.file("ours.php"));
        fs::write(&theirs, original).expect("it can be written");
        let records = instances(&theirs);
        let (feed, directory) = feed();
        let monitor = Running::start(Monitor::new(directory).file(&ours).expect("a name"));
        say(&feed, records).await;
        until("the file is there", || ours.exists()).await;
        monitor.end().await;
        if name == "discovery-one-server" {
            assert_eq!(without_times(&text(&ours)), without_times(original), "byte for byte");
        }
        // PHP's `==` of arrays looks at keys and values, in whatever order they stand.
        let same = php(&format!(
            "$a = include '{}'; $b = include '{}'; \
             foreach ([&$a, &$b] as &$file) foreach ($file as &$group) foreach ($group as &$one) {{ \
                 if (!is_string($one['updatetime']) || !is_int($one['port'])) exit(1); \
                 $one['updatetime'] = ''; \
             }} \
             echo json_encode($a == $b && count($a) > 0);",
            theirs.display(),
            ours.display()
        ));
        assert_eq!(same, true, "{name}:\n{}\nis not\n{original}", text(&ours));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_reads_at_any_time_finds_a_whole_list() {
    let folder = Folder::new();
    let file = folder.file("servers.php");
    let (feed, directory) = feed();
    let monitor = Running::start(Monitor::new(directory).file(&file).expect("a name"));
    let list =
        |count: u16| (0..count).map(|port| InstanceRecord::unknown(format!("10.0.2.15:{}", 9000 + port)));
    say(&feed, list(200)).await;
    until("the file is there", || file.exists()).await;
    // PHP includes it again and again while it is replaced.
    let code = format!(
        "$seen = []; for ($i = 0; $i < 300; $i++) {{ \
             $list = include '{}'; \
             if (!is_array($list)) {{ echo '\"no list\"'; exit; }} \
             $seen[count($list['default'])] = true; usleep(1000); \
         }} echo json_encode(array_keys($seen));",
        file.display()
    );
    let mut reader = Command::new("php")
        .args(["-d", "opcache.enable_cli=0", "-r", &code])
        .stdout(Stdio::piped())
        .spawn()
        .expect("php");
    for round in 0.. {
        say(&feed, list(if round % 2 == 0 { 1 } else { 200 })).await;
        sleep(Duration::from_millis(2)).await;
        if reader.try_wait().expect("it is ours").is_some() {
            break;
        }
    }
    let output = reader.wait_with_output().expect("it has ended");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut seen: Vec<_> =
        seen.as_array().unwrap_or_else(|| panic!("{seen}")).iter().map(Value::as_u64).collect();
    seen.sort_unstable();
    assert_eq!(seen, [Some(1), Some(200)], "both lists, and nothing between");
    monitor.end().await;
    let left: Vec<_> =
        fs::read_dir(&folder.0).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["servers.php"], "nothing is left beside it");
}

#[tokio::test(start_paused = true)]
async fn an_outage_empties_no_file() {
    let folder = Folder::new();
    let (php_file, json) = (folder.file("servers.php"), folder.file("servers.json"));
    let (feed, directory) = feed();
    let monitor = Monitor::new(directory).file(&php_file).expect("a name").file(&json).expect("a name");
    let monitor = Running::start(monitor.hold(Duration::from_secs(20)));
    say(&feed, [InstanceRecord::unknown("a:1"), InstanceRecord::unknown("b:1")]).await;
    until("the files are there", || text(&json).contains("b:1")).await;
    let written = (text(&php_file), text(&json));

    // Ten minutes of which the registry says nothing but errors.
    for _ in 0..600 {
        feed.send(Err("away".into())).await.expect("it listens");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!((text(&php_file), text(&json)), written, "not even the time of the list has changed");

    // It is back, and has lost its data.
    say(&feed, []).await;
    sleep(Duration::from_secs(10)).await;
    say(&feed, []).await;
    sleep(Duration::from_secs(5)).await;
    assert!(text(&json).contains("a:1") && text(&json).contains("b:1"), "{}", text(&json));
    say(&feed, [InstanceRecord::unknown("b:1")]).await;
    until("one has announced itself again", || !text(&json).contains("a:1")).await;

    // All have left, and it stays so.
    say(&feed, []).await;
    sleep(Duration::from_secs(19)).await;
    assert!(text(&json).contains("b:1"), "{}", text(&json));
    until("an empty list is believed in the end", || !text(&json).contains("b:1")).await;
    assert!(text(&php_file).ends_with("return array (\n);"), "{}", text(&php_file));
    monitor.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_stands_is_left_until_a_registry_has_answered_for_a_lease() {
    let folder = Folder::new();
    let (stands, fresh) = (folder.file("stands.json"), folder.file("fresh.json"));
    let before = r#"{"updated":1,"instances":[]}"#;
    fs::write(&stands, before).expect("it can be written");
    let (feed, directory) = feed();
    let monitor = Monitor::new(directory).file(&stands).expect("a name").file(&fresh).expect("a name");
    let monitor = Running::start(monitor);
    // The registry is just back: one of three has announced itself again.
    let list = |count: usize| ["a:1", "b:1", "c:1"].into_iter().take(count).map(InstanceRecord::unknown);
    say(&feed, list(1)).await;
    until("what there was none of is written at once", || text(&fresh).contains("a:1")).await;
    sleep(Duration::from_secs(6)).await;
    // It fails once more, and the time begins anew.
    feed.send(Err("away".into())).await.expect("it listens");
    sleep(Duration::from_secs(1)).await;
    say(&feed, list(2)).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(text(&stands), before);
    say(&feed, list(3)).await;
    until("the whole list is written", || text(&stands) == text(&fresh)).await;
    assert!(text(&stands).contains("c:1"), "{}", text(&stands));
    // From then on it is written when something changes.
    let four = InstanceRecord::unknown("d:1");
    say(&feed, list(3).chain([four])).await;
    until("who joins is there", || text(&stands).contains("d:1")).await;
    monitor.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_of_several_registries_suffices_to_replace_a_file_that_stands() {
    let folder = Folder::new();
    let stands = folder.file("stands.json");
    fs::write(&stands, "{}").expect("it can be written");
    let ((works, first), (fails, second)) = (feed(), mpsc::channel(1));
    let directory = first.and(Feed(second));
    let monitor = Running::start(Monitor::new(directory).file(&stands).expect("a name"));
    say(&works, [InstanceRecord::unknown("a:1")]).await;
    fails.send(Err("away".into())).await.expect("it listens");
    until("it is written", || text(&stands).contains("a:1")).await;
    monitor.end().await;
}

#[tokio::test]
async fn a_list_is_as_old_as_its_file_says_or_is() {
    let folder = Folder::new();
    let now = std::time::SystemTime::now();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let stamp = now.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() - hours(1).as_secs();
    for (name, content, oldest) in [
        ("a.json", format!(r#"{{"updated":{stamp},"instances":[]}}"#), hours(1)),
        ("a.toml", format!("updated = {stamp}\n"), hours(1)),
        ("b.json", r#"{"instances":[]}"#.to_owned(), hours(2)),
        // No moment that there is, and one that is not yet.
        ("c.json", format!(r#"{{"updated":{},"instances":[]}}"#, u64::MAX), hours(2)),
        ("d.json", format!(r#"{{"updated":{},"instances":[]}}"#, stamp + 7200), hours(0)),
    ] {
        let file = folder.file(name);
        fs::write(&file, content).expect("it can be written");
        let opened = fs::File::options().write(true).open(&file).expect("it is there");
        opened.set_modified(now - hours(2)).expect("it is ours");
        let target = Target::new(&format!("file://{}", file.display())).expect("a target");
        let mut watch = target.all_groups().watch();
        timeout(PATIENCE, watch.changed()).await.expect("a list");
        let age = watch.status().age.expect("it was read");
        assert!(age >= oldest && age < oldest + hours(1), "{name}: {age:?}");
        assert_eq!(watch.status().registries[0].age.map(|age| age.as_secs() / 60), Some(age.as_secs() / 60));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_dated_while_the_registry_confirms_it() {
    let folder = Folder::new();
    let json = folder.file("servers.json");
    let (feed, directory) = feed();
    let monitor = Running::start(Monitor::new(directory).file(&json).expect("a name"));
    let list = || [InstanceRecord::unknown("a:1")];
    say(&feed, list()).await;
    until("it is there", || json.exists()).await;
    fs::write(&json, "marked").expect("it can be written");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(text(&json), "marked", "nobody has confirmed anything");
    say(&feed, list()).await;
    until("it is written anew", || text(&json).contains("a:1")).await;
    monitor.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_target_reads_each_format_as_it_changes() {
    let folder = Folder::new();
    let files = [folder.file("servers.json"), folder.file("servers.toml")];
    let (feed, directory) = feed();
    let monitor = Monitor::new(directory).file(&files[0]).expect("a name").file(&files[1]).expect("a name");
    let monitor = Running::start(monitor);
    let one = InstanceRecord::new("10.0.2.15:9567").with_group("shop").with_weight(3).with_metadata("a", "b");
    let two = InstanceRecord::new("10.0.2.16:9567").with_group("admin");
    say(&feed, [one.clone()]).await;
    until("both are there", || files.iter().all(|file| file.exists())).await;
    let mut watches = files.each_ref().map(|file| {
        let target = Target::new(&format!("file://{}", file.display())).expect("a target");
        target.all_groups().watch()
    });
    for watch in &mut watches {
        let list = timeout(PATIENCE, watch.changed()).await.expect("a list");
        assert_eq!(list[..], [Arc::new(one.clone())]);
    }
    say(&feed, [one.clone(), two.clone()]).await;
    for watch in &mut watches {
        let list = timeout(PATIENCE, watch.changed()).await.expect("a list");
        assert_eq!(list[..], [Arc::new(one.clone()), Arc::new(two.clone())]);
    }
    monitor.end().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_said_at_once() {
    let folder = Folder::new();
    let nowhere = folder.file("nowhere/servers.php");
    let (_feed, directory) = feed();
    let monitor = Monitor::new(directory).file(&nowhere).expect("a name");
    let error = monitor.run(std::future::pending()).await.expect_err("there is no folder").to_string();
    assert!(error.starts_with(&format!("cannot write {nowhere:?}: ")), "{error}");
    let (_feed, directory) = self::feed();
    let error = Monitor::new(directory).file("servers.ini").expect_err("no format").to_string();
    assert!(error.contains(".json or .toml, or .php for PHP clients"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn who_may_read_a_file_may_read_it_still() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let json = folder.file("servers.json");
    fs::write(&json, "{}").expect("it can be written");
    fs::set_permissions(&json, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let (feed, directory) = feed();
    let monitor = Monitor::new(directory).file(&json).expect("a name").hold(Duration::ZERO);
    let monitor = Running::start(monitor);
    say(&feed, [InstanceRecord::unknown("a:1")]).await;
    until("it is written", || text(&json).contains("a:1")).await;
    monitor.end().await;
    assert_eq!(fs::metadata(&json).expect("it is there").permissions().mode() & 0o777, 0o640);
}
