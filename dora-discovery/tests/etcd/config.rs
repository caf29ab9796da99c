//! Configuration under a key of etcd.

use std::time::Duration;

use dora::config::{ConfigKey, Watched};
use tokio::time::{sleep, timeout};

use crate::server::{Member, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_value_is_followed_through_changes_and_restarts() {
    let mut member = Member::start().await;
    let line = format!("etcd://{}?key=shop/limit", member.address());
    let check = |limit: &u32| if *limit < 1000 { Ok(()) } else { Err("it is below 1000") };
    let source = ConfigKey::new(&line).expect("a key");
    let mut limit = Watched::builder().check(check).start(source, 100_u32);
    assert_eq!((*limit.get(), limit.status().source), (100, line));

    let mut client = member.client().await;
    client.put("shop/limit", "50", None).await.expect("it is there");
    // Neighbours are not this key.
    client.put("shop/limit2", "7", None).await.expect("it is there");
    client.put("shop/limi", "7", None).await.expect("it is there");
    assert_eq!(*timeout(PATIENCE, limit.changed()).await.expect("it is seen"), 50);
    client.put("shop/limit", "5000", None).await.expect("it is there");
    let refused = async {
        while limit.status().failure.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("it is refused");
    assert_eq!(limit.status().failure.as_deref(), Some("its value is not used: it is below 1000"));
    assert_eq!(*limit.get(), 50, "the last good one");

    member.kill();
    member.run();
    member.up().await;
    member.client().await.put("shop/limit", "60", None).await.expect("it is there");
    assert_eq!(*timeout(PATIENCE, limit.changed()).await.expect("it is seen"), 60);
    member.client().await.delete("shop/limit", None).await.expect("it is there");
    assert_eq!(*timeout(PATIENCE, limit.changed()).await.expect("it is seen"), 100);
    assert!(limit.status().is_default);
}

#[test]
fn a_key_is_named_with_what_to_write() {
    for (line, word) in [
        ("etcd://a", "?key=shop/limits"),
        ("etcd://a?key=", "?key=shop/limits"),
        ("etcd://a/shop?key=limits", "?key=shop/limits"),
        ("file:///etc/x?key=a", "etcd://"),
        ("etcd://me:secret@a?key=a&x=y", "\"x\" is unknown"),
    ] {
        let error = ConfigKey::new(line).expect_err(line).to_string();
        assert!(error.contains(word) && !error.contains("secret"), "{line}: {error}");
    }
}
