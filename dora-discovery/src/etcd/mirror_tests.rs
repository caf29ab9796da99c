use crate::etcd::cluster::Etcd;
use crate::etcd::server::{Member, PATIENCE};

use super::*;

/// What is between the list and the watch has been compacted away, as for a client that
/// was stopped there, or for a watch that fell behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn after_a_compaction_it_lists_again() {
    let member = Member::start().await;
    let mut client = member.client().await;
    client.put("f/a", "1", None).await.expect("it is there");
    let cluster = Etcd::new([member.address()]).cluster();
    let mut mirror = Mirror::folder(cluster, "f/".to_owned(), |key| key.value().to_vec());
    let known = mirror.next().await.expect("it is there").clone();
    assert_eq!(known, BTreeMap::from([(b"f/a".to_vec(), b"1".to_vec())]));

    client.delete("f/a", None).await.expect("it is there");
    let put = client.put("f/b", "2", None).await.expect("it is there");
    let revision = put.header().expect("it has one").revision();
    client.compact(revision, None).await.expect("it is there");
    let old = WatchOptions::new().with_prefix().with_start_revision(revision - 1);
    mirror.watch = Some(client.watch("f/", Some(old)).await.expect("it is there"));
    let expected = BTreeMap::from([(b"f/b".to_vec(), b"2".to_vec())]);
    let begin = Instant::now();
    // The first one may be the word that the watch was made.
    while *mirror.next().await.expect("a compaction is no error") != expected {
        assert!(begin.elapsed() < PATIENCE, "it never lists again");
    }
    client.put("f/c", "3", None).await.expect("it is there");
    while mirror.next().await.expect("it is there").len() < 2 {
        assert!(begin.elapsed() < PATIENCE, "it watches no more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn changes_that_come_together_are_told_together() {
    let member = Member::start().await;
    let mut client = member.client().await;
    let cluster = Etcd::new([member.address()]).cluster();
    let mut mirror = Mirror::folder(cluster, "f/".to_owned(), |key| key.value().to_vec());
    assert!(mirror.next().await.expect("it is there").is_empty());
    let begin = Instant::now();
    let writes = tokio::spawn(async move {
        for number in 0..200 {
            client.put(format!("f/{number}"), "", None).await.expect("it is there");
        }
    });
    let mut told = 0;
    while mirror.next().await.expect("it is there").len() < 200 {
        told += 1;
    }
    writes.await.expect("it does not panic");
    // The first and the last one may be early.
    let most = begin.elapsed().as_millis() / GATHER.as_millis() + 2;
    assert!(told <= most, "{told} lists for 200 changes in {:?}", begin.elapsed());
}
