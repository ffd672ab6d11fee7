//! The scheduler's specification, with a clock that these tests own.

use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An actor with four request slots that has nothing to do.
fn idle() -> State {
    State {
        max_in_flight: 4,
        in_flight: 0,
        circuit: Circuit::Closed,
        fresh: false,
        fresh_sent_at: None,
        failing: 0,
        retry_at: None,
        spool_at: None,
        last: None,
        last_older: Lane::Spool,
        disk: false,
        to_spill: false,
        flush_at: None,
        writes_when_busy: false,
        answer_at: None,
        shutdown: None,
    }
}

fn closing(now: Instant) -> Closing {
    Closing {
        deadline: now + s(5),
        has_more: true,
        gave_up: false,
    }
}

fn wait(until: Option<Instant>, sleep: Sleep) -> Step {
    Step::Wait { until, sleep }
}

#[test]
fn nothing_to_do_sleeps_until_a_caller_comes() {
    let now = Instant::now();
    assert_eq!(next_step(&idle(), now), wait(None, Sleep::Deep));
}

#[test]
fn waiting_events_are_flushed_when_their_interval_is_over() {
    let now = Instant::now();
    let state = State {
        flush_at: Some(now + s(5)),
        ..idle()
    };
    assert_eq!(next_step(&state, now), wait(Some(now + s(5)), Sleep::Timer));
}

#[test]
fn fresh_events_go_beside_batches_that_wait_for_a_retry() {
    let now = Instant::now();
    let failing = State {
        fresh: true,
        failing: 4,
        retry_at: Some(now + s(5)),
        fresh_sent_at: Some(now - s(1)),
        last: Some(Lane::Retry),
        ..idle()
    };
    assert_eq!(next_step(&failing, now), Step::Send(Lane::Fresh));
}

#[test]
fn the_more_batches_fail_the_longer_a_fresh_one_waits_after_the_last() {
    let now = Instant::now();
    let with = |failing| State {
        fresh: true,
        failing,
        retry_at: Some(now + s(9)),
        fresh_sent_at: Some(now),
        ..idle()
    };
    assert_eq!(next_step(&with(3), now), Step::Send(Lane::Fresh));
    let eight = with(8);
    assert_eq!(
        next_step(&eight, now),
        wait(Some(now + ms(50)), Sleep::Awake)
    );
    assert_eq!(next_step(&eight, now + ms(50)), Step::Send(Lane::Fresh));
    let shutdown = State {
        shutdown: Some(closing(now)),
        ..eight
    };
    assert_ne!(next_step(&shutdown, now), Step::Send(Lane::Fresh));
    assert_eq!(next_step(&shutdown, now + ms(20)), Step::Send(Lane::Fresh));
}

#[test]
fn a_retry_goes_at_its_time_and_not_before() {
    let now = Instant::now();
    let state = State {
        failing: 1,
        // `Retry-After: 7`, for instance.
        retry_at: Some(now + s(7)),
        ..idle()
    };
    assert_eq!(next_step(&state, now), wait(Some(now + s(7)), Sleep::Deep));
    assert_eq!(next_step(&state, now + s(7)), Step::Send(Lane::Retry));
}

#[test]
fn all_lanes_take_turns() {
    let now = Instant::now();
    let mut state = State {
        fresh: true,
        retry_at: Some(now),
        spool_at: Some(now),
        ..idle()
    };
    let mut served = Vec::new();
    for _ in 0..6 {
        let Step::Send(lane) = next_step(&state, now) else {
            panic!("{state:?}");
        };
        served.push(lane);
        state.last = Some(lane);
        if lane != Lane::Fresh {
            state.last_older = lane;
        }
    }
    use Lane::*;
    assert_eq!(served, [Fresh, Retry, Fresh, Spool, Fresh, Retry]);
}

#[test]
fn with_all_slots_on_the_wire_nothing_is_sent_and_callers_do_not_wake() {
    let now = Instant::now();
    let state = State {
        in_flight: 4,
        fresh: true,
        retry_at: Some(now),
        flush_at: Some(now + s(5)),
        ..idle()
    };
    assert_eq!(next_step(&state, now), wait(None, Sleep::Awake));
    let write_ahead = State {
        writes_when_busy: true,
        ..state
    };
    assert_eq!(
        next_step(&write_ahead, now),
        wait(Some(now + s(5)), Sleep::Awake)
    );
}

#[test]
fn an_open_circuit_lets_nothing_through_until_its_time() {
    let now = Instant::now();
    let state = State {
        circuit: Circuit::Open(now + s(30)),
        fresh: true,
        retry_at: Some(now),
        spool_at: Some(now),
        ..idle()
    };
    assert_eq!(
        next_step(&state, now),
        wait(Some(now + s(30)), Sleep::Awake)
    );
    assert_eq!(next_step(&state, now + s(30)), Step::Send(Lane::Fresh));
}

#[test]
fn a_half_open_circuit_lets_one_request_through() {
    let now = Instant::now();
    let half_open = State {
        circuit: Circuit::HalfOpen,
        fresh: true,
        ..idle()
    };
    assert_eq!(next_step(&half_open, now), Step::Send(Lane::Fresh));
    let probing = State {
        circuit: Circuit::Probing,
        in_flight: 1,
        ..half_open.clone()
    };
    assert_eq!(next_step(&probing, now), wait(None, Sleep::Awake));
    let probe_of_others = State {
        circuit: Circuit::Probing,
        ..half_open
    };
    assert_eq!(
        next_step(&probe_of_others, now),
        wait(Some(now + ms(20)), Sleep::Awake)
    );
}

#[test]
fn what_an_open_circuit_holds_back_goes_to_disk() {
    let now = Instant::now();
    let state = State {
        circuit: Circuit::Open(now + s(30)),
        disk: true,
        to_spill: true,
        ..idle()
    };
    assert_eq!(next_step(&state, now), Step::Spill);
    let nothing_left = State {
        to_spill: false,
        ..state.clone()
    };
    assert_eq!(
        next_step(&nothing_left, now),
        wait(Some(now + s(30)), Sleep::Deep)
    );
    let closed = State {
        circuit: Circuit::Closed,
        ..state
    };
    assert_ne!(next_step(&closed, now), Step::Spill);
}

#[test]
fn a_flush_that_somebody_waits_for_wakes_the_actor() {
    let now = Instant::now();
    let state = State {
        in_flight: 4,
        answer_at: Some(now + s(10)),
        ..idle()
    };
    assert_eq!(
        next_step(&state, now),
        wait(Some(now + s(10)), Sleep::Awake)
    );
}

#[test]
fn a_shutdown_sends_memory_first_and_through_an_open_circuit() {
    let now = Instant::now();
    let state = State {
        circuit: Circuit::Open(now + s(30)),
        spool_at: Some(now),
        retry_at: Some(now),
        last: Some(Lane::Fresh),
        last_older: Lane::Retry,
        shutdown: Some(closing(now)),
        ..idle()
    };
    assert_eq!(next_step(&state, now), Step::Send(Lane::Retry));
    let fresh = State {
        fresh: true,
        ..state.clone()
    };
    assert_eq!(next_step(&fresh, now), Step::Send(Lane::Fresh));
    let on_disk = State {
        retry_at: None,
        ..state
    };
    assert_eq!(next_step(&on_disk, now), Step::Send(Lane::Spool));
}

#[test]
fn a_shutdown_ends_when_nothing_is_left_or_its_time_is_over() {
    let now = Instant::now();
    let waits = State {
        in_flight: 1,
        shutdown: Some(Closing {
            has_more: false,
            ..closing(now)
        }),
        ..idle()
    };
    assert_eq!(next_step(&waits, now), wait(Some(now + s(5)), Sleep::Deep));
    assert_eq!(next_step(&waits, now + s(5)), Step::Finish);
    let done = State {
        in_flight: 0,
        ..waits.clone()
    };
    assert_eq!(next_step(&done, now), Step::Finish);
    let gave_up = State {
        fresh: true,
        in_flight: 0,
        shutdown: Some(Closing {
            gave_up: true,
            ..closing(now)
        }),
        ..waits
    };
    assert_eq!(next_step(&gave_up, now), Step::Finish);
}
