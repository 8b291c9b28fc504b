//! Handoffs as sets of events.

use super::*;
use crate::events::{Epoch, NewEvent};
use crate::object::{DeviceName, Lamport};

fn event(device: &str, kind: &str, body: &str, head: u64) -> Event {
    let new = NewEvent {
        at: "2026-11-22T08:00:00Z".into(),
        device: DeviceName::parse(device).expect("a name"),
        epoch: Epoch::parse("0123456789abcdef").expect("an epoch"),
        session: None,
        kind: kind.into(),
        body: Json::parse(body.as_bytes()).expect("JSON"),
        head: Lamport(head),
    };
    Stream::parse(b"").append(new).expect("an event").event
}

fn step_of(made: &Event, device: &str, kind: &str, head: u64) -> Event {
    event(device, kind, &format!(r#"{{"handoff":"{}"}}"#, made.id), head)
}

/// Both say they have it; which of them does must not depend on the order in which the events came.
#[test]
fn of_two_who_accept_at_once_the_first_in_the_total_order_has_it() {
    let made = event("mac", CREATE, r#"{"text":"a task","to":"pixel"}"#, 5);
    let (mac, pixel) = (step_of(&made, "mac", ACCEPT, 9), step_of(&made, "pixel", ACCEPT, 9));
    let later = step_of(&made, "tablet", ACCEPT, 10);
    let orders = [
        vec![&made, &mac, &pixel, &later],
        vec![&later, &pixel, &mac, &made],
        vec![&pixel, &made, &later, &mac, &pixel, &mac],
    ];
    for order in orders {
        let handoffs = fold(order.into_iter().cloned());
        assert_eq!(handoffs.len(), 1);
        let holder = handoffs[0].accepted.as_ref().expect("accepted");
        assert_eq!(holder.event.id, mac.id);
        let lost: Vec<EventId> = handoffs[0].lost.iter().map(|step| step.event.id).collect();
        assert_eq!(lost, [pixel.id, later.id]);
        assert_eq!(handoffs[0].state(), State::Accepted);
    }
}

#[test]
fn who_takes_over_must_name_whom() {
    let made = event("mac", CREATE, r#"{"text":"a task"}"#, 5);
    let first = step_of(&made, "mac", ACCEPT, 6);
    let body = format!(r#"{{"handoff":"{}","instead_of":"{}"}}"#, made.id, first.id);
    let second = event("pixel", ACCEPT, &body, 7);
    let blind = event("tablet", ACCEPT, &body, 8);
    let handoffs = fold([made, first, second.clone(), blind].into_iter());
    assert_eq!(handoffs[0].accepted.as_ref().map(|step| step.event.id), Some(second.id));
    assert_eq!(handoffs[0].lost.len(), 2, "the one it was taken from, and the one who came too late");
}

#[test]
fn what_is_done_stays_done_and_steps_of_nothing_are_passed_over() {
    let made = event("mac", CREATE, r#"{"text":"a task"}"#, 5);
    let done = step_of(&made, "pixel", COMPLETE, 6);
    let late = step_of(&made, "mac", ACCEPT, 7);
    let stray = event("mac", ACCEPT, r#"{"handoff":"00"}"#, 8);
    let odd = event("mac", COMPLETE, "17", 8);
    let handoffs = fold([made, done, late, stray, odd].into_iter());
    assert_eq!(handoffs[0].state(), State::Completed);
    assert_eq!((handoffs[0].accepted.is_none(), handoffs[0].lost.len()), (true, 1));
}

#[test]
fn one_file_imported_on_two_devices_is_one_task() {
    let body = r#"{"text":"a task","source":"abc"}"#;
    let (mac, pixel) = (event("mac", CREATE, body, 5), event("pixel", CREATE, body, 5));
    let accept = step_of(&pixel, "pixel", ACCEPT, 7);
    let handoffs = fold([pixel, mac.clone(), accept].into_iter());
    assert_eq!(handoffs.len(), 1);
    assert_eq!((handoffs[0].id, handoffs[0].state()), (mac.id, State::Accepted));
}

#[test]
fn a_handoff_knows_for_whom_it_is() {
    let is_for = |to: &str, device: &str, agent: Option<&str>| {
        let made = event("mac", CREATE, &format!(r#"{{"text":"t","to":"{to}"}}"#), 1);
        fold([made].into_iter())[0].is_for(device, agent)
    };
    assert!(is_for("pixel", "pixel", None));
    assert!(is_for("claude-code", "mac", Some("claude-code")));
    assert!(is_for("Claude", "mac", Some("claude-code")));
    assert!(is_for("codex@mac", "mac", Some("codex")));
    assert!(!is_for("codex@mac", "pixel", Some("codex")));
    assert!(!is_for("codex", "mac", None));
}
