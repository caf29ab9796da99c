use crate::etcd::cluster::Etcd;
use crate::etcd::server::Member;

use super::*;

/// The answer to what has written the key was lost on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_has_not_heard_of_its_term_finds_it_again() {
    let member = Member::start().await;
    let mut register = Etcd::new([member.address()]).register();
    let record = InstanceRecord::new("a:1");
    assert_eq!(register.announce(&record).await.expect("it is there"), Standing::Announced);
    let term = register.term.take();
    assert!(term.is_some());
    assert_eq!(register.announce(&record).await.expect("it is there"), Standing::Announced);
    assert_eq!(register.term, term);
    let key = member.client().await.get("dora/instances/a:1", None).await.expect("it is there");
    assert_eq!(key.kvs()[0].version(), 1, "it was not written again");
}
