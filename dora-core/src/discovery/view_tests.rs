use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn record(address: &str, started: u64) -> InstanceRecord {
    let mut record = InstanceRecord::unknown(address).with_group("shop");
    record.started = started;
    record
}

fn listing<const N: usize>(addresses: [&str; N]) -> Listing {
    addresses.into_iter().map(|address| record(address, 1)).collect()
}

fn view(sources: usize) -> View {
    View::new(sources, Filter::default(), LEASE)
}

fn addresses(view: &View) -> Vec<String> {
    view.merged().expect("it is known").iter().map(|instance| instance.address.clone()).collect()
}

#[test]
fn nothing_is_known_before_a_registry_has_answered() {
    let now = Instant::now();
    let mut view = view(2);
    assert!(view.merged().is_none());
    view.failed(0);
    assert!(view.merged().is_none(), "an outage is no empty list");
    view.listed(1, listing([]), now);
    assert!(view.merged().expect("the other one has answered").is_empty());
}

#[test]
fn an_empty_list_waits_for_the_other_registries() {
    let now = Instant::now();
    let mut view = view(2);
    view.listed(0, listing([]), now);
    assert!(view.merged().is_none(), "the other one may have somebody");
    view.listed(1, listing(["a:1"]), now);
    assert_eq!(addresses(&view), ["a:1"]);
}

#[test]
fn several_registries_are_a_union_and_one_that_is_down_takes_nobody() {
    let now = Instant::now();
    let mut view = view(2);
    view.listed(0, listing(["b:1", "a:1"]), now);
    view.listed(1, listing(["b:1", "c:1"]), now);
    assert_eq!(addresses(&view), ["a:1", "b:1", "c:1"]);
    view.failed(0);
    view.listed(1, listing(["b:1", "c:1", "d:1"]), now);
    assert_eq!(addresses(&view), ["a:1", "b:1", "c:1", "d:1"]);
}

#[test]
fn who_leaves_while_a_registry_is_down_is_gone_there_too() {
    let now = Instant::now();
    let mut view = view(2);
    view.listed(0, listing(["a:1", "b:1"]), now);
    view.listed(1, listing(["a:1", "b:1"]), now);
    view.failed(0);
    view.listed(1, listing(["a:1"]), now);
    assert_eq!(addresses(&view), ["a:1"]);
}

#[test]
fn who_left_one_registry_is_still_in_the_other_that_says_so() {
    let now = Instant::now();
    let mut view = view(2);
    view.listed(0, listing(["a:1"]), now);
    view.listed(1, listing(["a:1"]), now);
    view.listed(1, listing([]), now);
    assert_eq!(addresses(&view), ["a:1"], "the first one renews it");
}

#[test]
fn a_registry_that_comes_back_empty_drops_nobody_for_a_lease() {
    let mut now = Instant::now();
    let mut view = view(1);
    view.listed(0, listing(["a:1", "b:1"]), now);
    view.failed(0);
    view.listed(0, listing([]), now);
    assert_eq!(addresses(&view), ["a:1", "b:1"]);
    now += LEASE / 2;
    view.listed(0, listing(["b:1", "c:1"]), now);
    assert_eq!(addresses(&view), ["a:1", "b:1", "c:1"]);
    let until = view.next_deadline(now).expect("the end of the lease");
    view.elapsed(until);
    assert_eq!(addresses(&view), ["b:1", "c:1"]);
    assert_eq!(view.next_deadline(until), None);
    view.listed(0, listing(["b:1"]), until);
    assert_eq!(addresses(&view), ["b:1"], "it is as ever again");
}

#[test]
fn a_registry_that_lost_everything_drops_nobody_for_a_lease_and_then_all() {
    let mut now = Instant::now();
    let mut view = view(1);
    view.listed(0, listing(["a:1"]), now);
    for _ in 0..4 {
        view.listed(0, listing([]).with_recovering(true), now);
        assert_eq!(addresses(&view), ["a:1"]);
        now += LEASE / 4;
    }
    view.listed(0, listing([]).with_recovering(true), now);
    assert!(addresses(&view).is_empty(), "it says so for a whole lease");
}

#[test]
fn of_two_runs_at_an_address_the_later_one_is_believed() {
    let now = Instant::now();
    let mut view = view(2);
    view.listed(0, Listing::from_iter([record("a:1", 2)]), now);
    view.listed(1, Listing::from_iter([record("a:1", 1)]), now);
    assert_eq!(view.merged().expect("known")[0].started, 2);
}

#[test]
fn a_run_that_a_registry_tells_of_is_believed_before_one_that_is_only_remembered() {
    let now = Instant::now();
    let mut view = view(2);
    // The clock of its machine was wrong.
    view.listed(0, Listing::from_iter([record("a:1", 9)]), now);
    view.listed(1, listing([]), now);
    view.failed(0);
    view.listed(1, Listing::from_iter([record("a:1", 2)]), now);
    assert_eq!(view.merged().expect("known")[0].started, 2);
    // The first one is back, with nobody yet.
    view.listed(0, listing([]), now);
    assert_eq!(view.merged().expect("known")[0].started, 2);
}

#[test]
fn an_address_that_another_group_has_taken_is_not_found_in_the_old_one() {
    let now = Instant::now();
    let filter = Filter { group: Some("shop".into()), service: None };
    let mut view = View::new(2, filter, LEASE);
    view.listed(0, Listing::from_iter([record("a:1", 1)]), now);
    let mut taken = record("a:1", 2);
    taken.groups = ["admin".to_owned()].into();
    view.listed(1, Listing::from_iter([taken]), now);
    assert!(view.merged().expect("known").is_empty());
}

#[test]
fn group_and_service_choose_and_who_says_nothing_is_taken() {
    let now = Instant::now();
    let filter = Filter { group: Some("shop".into()), service: Some("users.v1.Users".into()) };
    let mut view = View::new(1, filter, LEASE);
    let serves = |address, service: &str| record(address, 1).with_service(service, "1.0");
    let list = [
        serves("a:1", "users.v1.Users"),
        serves("b:1", "orders.v1.Orders"),
        record("c:1", 1),
        InstanceRecord::unknown("d:1"),
        InstanceRecord::unknown("e:1").with_group("admin"),
    ];
    view.listed(0, Listing::from_iter(list), now);
    assert_eq!(addresses(&view), ["a:1", "c:1", "d:1"]);
}
