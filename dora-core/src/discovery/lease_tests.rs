use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::BoxError;

use super::*;
use crate::discovery::register::Register;

#[derive(Clone, Default)]
struct Registry(Arc<State>);

#[derive(Default)]
struct State {
    announced: Mutex<Vec<Instant>>,
    withdrawn: Mutex<usize>,
    behaviour: Mutex<Behaviour>,
    lost: Notify,
}

#[derive(Clone, Copy, Default)]
enum Behaviour {
    #[default]
    Takes,
    Fails,
    Hangs,
}

impl Registry {
    async fn behave(&self) -> Result<(), BoxError> {
        let behaviour = *self.0.behaviour.lock();
        match behaviour {
            Behaviour::Takes => Ok(()),
            Behaviour::Fails => Err("it is down".into()),
            Behaviour::Hangs => std::future::pending().await,
        }
    }

    fn set(&self, behaviour: Behaviour) {
        *self.0.behaviour.lock() = behaviour;
    }

    fn count(&self) -> usize {
        self.0.announced.lock().len()
    }
}

impl Register for Registry {
    async fn announce(&mut self, _: &InstanceRecord) -> Result<Standing, BoxError> {
        self.behave().await?;
        self.0.announced.lock().push(Instant::now());
        Ok(Standing::Announced)
    }

    async fn withdraw(&mut self, _: &InstanceRecord) -> Result<(), BoxError> {
        self.behave().await?;
        *self.0.withdrawn.lock() += 1;
        Ok(())
    }

    async fn lost(&mut self) {
        self.0.lost.notified().await;
    }
}

fn begin(registries: Registries) -> Announced {
    let record = InstanceRecord::new("10.0.2.15:9567");
    Announcements::new([registries], &record).expect("the record is good").begin()
}

#[tokio::test(start_paused = true)]
async fn an_announcement_is_renewed_at_a_third_of_its_lease_and_withdrawn_at_the_end() {
    let registry = Registry::default();
    let mut announced = begin(registry.clone().into());
    sleep(Duration::from_secs(61)).await;
    let times = registry.0.announced.lock().clone();
    assert_eq!(times.len(), 19, "at 0 s, and each 3.33 s");
    let gap = times[1] - times[0];
    assert!(gap <= Duration::from_millis(3334), "{gap:?}");
    announced.withdraw().await;
    announced.withdraw().await;
    assert_eq!(*registry.0.withdrawn.lock(), 1);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(registry.count(), 19, "nothing is announced behind the withdrawal");
}

#[tokio::test(start_paused = true)]
async fn who_failed_is_back_within_two_seconds_and_not_with_all_others() {
    let registries: Vec<_> = (0..50).map(|_| Registry::default()).collect();
    let announced: Vec<_> = registries
        .iter()
        .map(|registry| {
            registry.set(Behaviour::Fails);
            begin(registry.clone().into())
        })
        .collect();
    sleep(Duration::from_secs(600)).await;
    let returned = Instant::now();
    registries.iter().for_each(|registry| registry.set(Behaviour::Takes));
    sleep(Duration::from_secs(2)).await;
    let waits: Vec<_> = registries.iter().map(|registry| registry.0.announced.lock()[0] - returned).collect();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)));
    let spread = *waits.iter().max().expect("some") - *waits.iter().min().expect("some");
    assert!(spread > Duration::from_millis(100), "{spread:?}");
    drop(announced);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_lost_is_announced_anew_at_once() {
    let registry = Registry::default();
    let _announced = begin(registry.clone().into());
    sleep(Duration::from_millis(10)).await;
    assert_eq!(registry.count(), 1);
    registry.0.lost.notify_one();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(registry.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_keeps_neither_the_others_nor_the_end_for_long() {
    let (hangs, takes) = (Registry::default(), Registry::default());
    hangs.set(Behaviour::Hangs);
    let mut announced = begin(Registries::new(hangs.clone()).and(takes.clone()));
    sleep(Duration::from_secs(30)).await;
    assert!(takes.count() > 5);
    let began = Instant::now();
    announced.withdraw().await;
    assert!(began.elapsed() <= FAREWELL + Duration::from_millis(10), "{:?}", began.elapsed());
    assert_eq!((*takes.0.withdrawn.lock(), *hangs.0.withdrawn.lock()), (1, 0));
}

#[test]
fn groups_are_those_of_the_record_and_of_the_registry_or_the_default() {
    let groups = |registries: Registries, record: &InstanceRecord| {
        let announcements = Announcements::new([registries], record).expect("the record is good");
        announcements.0[0].1.groups.iter().cloned().collect::<Vec<_>>()
    };
    let plain = InstanceRecord::new("a:1");
    let registry = || Registries::new(Registry::default());
    assert_eq!(groups(registry(), &plain), ["default"]);
    assert_eq!(groups(registry().group("shop").group("admin"), &plain), ["admin", "shop"]);
    assert_eq!(groups(registry().group("shop"), &plain.clone().with_group("x")), ["shop", "x"]);
    let error = Announcements::new([registry().group("")], &plain).err().expect("no name of a group");
    assert!(error.to_string().contains("group"), "{error}");
}
