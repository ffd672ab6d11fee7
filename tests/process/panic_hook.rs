//! The panic hook, wherever a program panics: the exception arrives or is counted, the hook before runs, and the process
//! ends in its time. Each scenario (`panic_hook_scenarios.rs`) is a process of its own, beside a PostHog in this one.

use crate::panic_hook_scenarios::{SCENARIO, URL};
use crate::support::{Held, LONG, PROJECT_KEY, server};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use tracing_posthog::testing::{Answer, RecordedEvent};

/// A process that runs one scenario.
struct Process {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
}

/// What became of a process.
struct Ended {
    status: ExitStatus,
    said: Vec<String>,
}

impl Process {
    fn start(scenario: &str, url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "panic_hook_scenarios::run_one"])
            .args(["--nocapture", "--include-ignored"])
            .env(SCENARIO, scenario)
            .env(URL, url)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (line, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for text in BufReader::new(output).lines().map_while(Result::ok) {
                // libtest writes the name of the test before the first.
                let said = text.rsplit("... ").next().unwrap_or_default();
                let _ = line.send(said.to_owned());
            }
        });
        Self {
            child,
            input,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits until the process says so.
    #[track_caller]
    fn wait_for(&mut self, line: &str) {
        while !self.said.iter().any(|said| said == line) {
            let said = self.lines.recv_timeout(LONG);
            let said = said.unwrap_or_else(|_| panic!("never said {line:?}: {:?}", self.said));
            self.said.push(said);
        }
    }

    fn go_on(&mut self) {
        writeln!(self.input, "go on").unwrap();
    }

    /// Waits for the end, which closes the output.
    #[track_caller]
    fn end(mut self) -> Ended {
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(said) => self.said.push(said),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.child.kill().unwrap();
                    panic!("the process does not end: {:?}", self.said);
                }
            }
        }
        Ended {
            status: self.child.wait().unwrap(),
            said: self.said,
        }
    }
}

impl Ended {
    fn said(&self, line: &str) -> usize {
        self.said.iter().filter(|said| *said == line).count()
    }
}

/// Runs a scenario to its end. What its PostHog got, and how it ended.
#[track_caller]
fn run(scenario: &str) -> (Vec<RecordedEvent>, Ended) {
    let server = server();
    let ended = Process::start(scenario, &server.url()).end();
    (server.events(), ended)
}

#[track_caller]
fn only(events: Vec<RecordedEvent>) -> RecordedEvent {
    let [event] = <[_; 1]>::try_from(events).unwrap();
    assert_eq!(event.event, "$exception");
    assert_eq!(event.api_key, PROJECT_KEY);
    event
}

fn outermost(event: &RecordedEvent) -> &Value {
    &event.property("$exception_list").unwrap()[0]
}

#[track_caller]
fn assert_is_panic(event: &RecordedEvent, message: &str) {
    let first = outermost(event);
    assert_eq!(
        (&first["type"], &first["value"]),
        (&"panic".into(), &message.into())
    );
    assert_eq!(first["mechanism"]["handled"], false, "{first}");
}

/// The panic arrived with the identity of its span before the hook that was there before ran.
#[track_caller]
fn assert_arrives(scenario: &str, message: &str) -> Ended {
    let (events, ended) = run(scenario);
    let event = only(events);
    assert_is_panic(&event, message);
    assert_eq!(event.distinct_id, "ada", "{event:?}");
    assert_eq!(ended.said("the hook before"), 1, "{:?}", ended.said);
    ended
}

#[track_caller]
fn assert_ends_well(ended: &Ended) {
    assert!(ended.status.success(), "{} {:?}", ended.status, ended.said);
}

#[test]
fn on_the_main_thread_it_is_delivered_before_the_process_ends() {
    let ended = assert_arrives("main_thread", "on the main thread");
    assert!(!ended.status.success(), "the scenario aborts");
}

#[test]
fn on_a_spawned_thread_it_is_captured_and_nobody_waits() {
    let server = server();
    let mut process = Process::start("spawned_thread", &server.url());
    process.wait_for("joined");
    assert_eq!(server.request_count(), 0, "the hook does not flush");
    process.go_on();
    let ended = process.end();
    assert_ends_well(&ended);
    let event = only(server.events());
    assert_is_panic(&event, "on a thread");
    assert_eq!(event.distinct_id, "ada");
    assert_eq!(event.property("thread"), Some(&"worker".into()));
    assert_eq!(
        event.property("$groups"),
        Some(&serde_json::json!({"company": "acme"}))
    );
}

#[test]
fn in_a_task_it_has_the_identity_of_the_tasks_span() {
    assert_ends_well(&assert_arrives("task", "in a task"));
}

#[test]
fn in_a_task_on_the_main_thread_it_is_not_fatal() {
    let server = server();
    let mut process = Process::start("task_on_the_main_thread", &server.url());
    process.wait_for("caught");
    assert_eq!(server.request_count(), 0, "the hook does not flush");
    process.go_on();
    assert_ends_well(&process.end());
    assert_is_panic(&only(server.events()), "in a task");
}

#[test]
fn in_a_handler_it_has_the_identity_of_the_request() {
    assert_ends_well(&assert_arrives("handler", "in a handler"));
}

#[test]
fn within_a_value_that_the_layer_formats() {
    let (events, ended) = run("debug_in_the_layer");
    assert_ends_well(&ended);
    let of = |name| events.iter().find(|e| e.event == name).unwrap();
    assert_is_panic(of("$exception"), "of a Debug");
    assert_eq!(of("$exception").distinct_id, "ada");
    assert_eq!(of("with the value").distinct_id, "ada");
    assert_eq!(events.len(), 2);
}

#[test]
fn within_a_value_that_another_layer_formats() {
    assert_ends_well(&assert_arrives("debug_in_the_log", "of a Debug"));
}

#[test]
fn at_a_poisoned_lock() {
    let (events, ended) = run("poisoned_lock");
    assert_ends_well(&ended);
    assert_eq!(events.len(), 2);
    let poisoned = outermost(&events[1])["value"].as_str().unwrap();
    assert!(poisoned.contains("PoisonError"), "{poisoned}");
    assert_eq!(events[1].distinct_id, "ada");
}

#[test]
fn while_another_panic_unwinds_all_arrive_before_the_process_ends() {
    let (events, ended) = run("double_panic");
    assert!(!ended.status.success());
    let values: Vec<_> = events
        .iter()
        .map(|e| outermost(e)["value"].as_str().unwrap())
        .collect();
    let third = "panic in a destructor during cleanup";
    assert_eq!(values, ["the first", "the second", third]);
    assert_eq!(ended.said("the hook before"), 3);
}

#[test]
fn at_a_boundary_to_foreign_code_it_arrives_before_the_process_ends() {
    let (events, ended) = run("foreign_boundary");
    assert!(!ended.status.success());
    let values: Vec<_> = events
        .iter()
        .map(|e| outermost(e)["value"].as_str().unwrap())
        .collect();
    assert_eq!(
        values,
        [
            "across the boundary",
            "panic in a function that cannot unwind"
        ]
    );
}

#[test]
fn out_of_memory() {
    assert_ends_well(&assert_arrives("capacity_overflow", "capacity overflow"));
    let (events, ended) = run("allocation_fails");
    assert_ends_well(&ended);
    let event = only(events);
    assert!(
        outermost(&event)["value"]
            .as_str()
            .unwrap()
            .contains("TryReserveError")
    );
    // Where the standard library gives up by itself no hook runs; the process ends all the same.
    let (events, ended) = run("allocator_gives_up");
    assert!(events.is_empty() && !ended.status.success());
}

#[test]
fn a_payload_that_is_no_text_is_not_shown() {
    assert_ends_well(&assert_arrives(
        "odd_payload",
        "a payload that is not a string",
    ));
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let (events, ended) = run("long_message");
    assert_ends_well(&ended);
    let event = only(events);
    let value = outermost(&event)["value"].as_str().unwrap().to_owned();
    assert!(
        value.starts_with('€') && value.len() <= 40_000,
        "{}",
        value.len()
    );
}

#[test]
fn panics_in_our_callbacks_are_not_captured_and_stop_nothing() {
    for scenario in ["in_before_send", "in_on_error", "in_the_clock"] {
        let server = server();
        if scenario == "in_on_error" {
            server.answer_next(Answer::status(400));
        }
        let ended = Process::start(scenario, &server.url()).end();
        assert_ends_well(&ended);
        let events = server.events();
        assert!(
            events.iter().any(|e| e.event == "the last"),
            "{scenario}: {events:?}"
        );
        assert!(
            !events.iter().any(|e| e.event == "$exception"),
            "{scenario}: {events:?}"
        );
        assert!(
            ended.said("the hook before") >= 1,
            "{scenario}: {:?}",
            ended.said
        );
    }
}

#[test]
fn no_code_of_the_program_runs_within_the_hook() {
    // Each of these would panic in the hook, and so abort the process.
    assert_ends_well(&assert_arrives("hostile_settings", "amid hostile settings"));
}

#[test]
fn a_posthog_that_is_down_or_hangs_holds_the_process_for_a_bounded_time() {
    let gone = {
        let server = server();
        server.url()
    };
    let ended = Process::start("main_thread_for_2_s", &gone).end();
    assert_eq!(ended.said("the hook before"), 1, "{:?}", ended.said);
    assert_eq!(ended.said("captured 1, settled 0"), 1, "{:?}", ended.said);

    let server = server();
    let held = Held::by(&server);
    let ended = Process::start("main_thread_for_2_s", &server.url()).end();
    drop(held);
    assert_eq!(ended.said("the hook before"), 1, "{:?}", ended.said);
    assert_eq!(ended.said("captured 1, settled 0"), 1, "{:?}", ended.said);
}

#[test]
fn a_hook_before_that_ends_the_process_comes_after_the_delivery() {
    let ended = assert_arrives("exit_in_the_hook_before", "and exit");
    assert_eq!(ended.status.code(), Some(7));
}

#[test]
fn without_the_setting_nothing_is_captured() {
    let (events, ended) = run("off");
    assert_eq!((events.len(), ended.said("the hook before")), (0, 1));
    assert_ends_well(&ended);
}

#[test]
fn a_flush_that_is_never_wanted_holds_up_nothing() {
    let server = server();
    let ended = Process::start("never_flushed", &server.url()).end();
    assert_eq!(ended.said("captured 1, settled 0"), 1, "{:?}", ended.said);
    assert_eq!(server.request_count(), 0);
}

#[test]
fn a_backend_captures_a_panic_once_however_often_the_hook_is_installed() {
    assert_ends_well(&assert_arrives("installed_often", "once"));
    let (events, ended) = run("two_backends");
    assert_ends_well(&ended);
    assert_eq!(events.len(), 2);
    assert_eq!(ended.said("the hook before"), 1);
}

#[test]
fn after_the_shutdown_only_the_hook_before_runs() {
    let (events, ended) = run("after_the_shutdown");
    assert_ends_well(&ended);
    assert_eq!((events.len(), ended.said("the hook before")), (0, 1));
    assert_eq!(ended.said("captured 0, settled 0"), 1, "{:?}", ended.said);
}

#[test]
fn an_actor_on_the_panicking_threads_runtime_is_not_waited_for() {
    assert_ends_well(&assert_arrives("own_runtime", "on the actor's runtime"));
}

#[test]
fn a_lock_that_a_before_send_hook_wants_holds_the_panic_for_a_bounded_time() {
    assert_ends_well(&assert_arrives("lock_of_before_send", "with the lock"));
}

#[test]
fn a_full_queue_is_not_waited_for() {
    let server = server();
    let held = Held::by(&server);
    let ended = Process::start("full_queue", &server.url()).end();
    assert_eq!(ended.said("refused 1"), 1, "{:?}", ended.said);
    drop(held);
}

#[test]
fn panics_of_one_place_are_limited_and_counted() {
    let (events, ended) = run("many_panics");
    assert_ends_well(&ended);
    assert_eq!(events.len(), 3);
    assert_eq!(ended.said("limited 97"), 1, "{:?}", ended.said);
}

#[test]
fn panics_that_the_main_thread_survives_are_limited_and_not_waited_for() {
    let (events, ended) = run("many_panics_on_the_main_thread");
    assert_ends_well(&ended);
    // The first one is presumed to end the process, and is not limited.
    assert_eq!(events.len(), 51);
    assert_eq!(ended.said("held back 949"), 1, "{:?}", ended.said);
}

#[test]
fn a_panic_that_the_layer_catches_is_not_fatal_on_the_main_thread() {
    let server = server();
    let mut process = Process::start("debug_on_the_main_thread", &server.url());
    process.wait_for("captured");
    assert_eq!(server.request_count(), 0, "the hook does not flush");
    process.go_on();
    assert_ends_well(&process.end());
    let levels: Vec<_> = server
        .events()
        .iter()
        .map(|e| e.property("$exception_level").cloned())
        .collect();
    assert_eq!(levels, [Some("error".into()), None]);
}

#[test]
fn within_a_subscriber_that_holds_a_lock_of_its_own() {
    let (events, ended) = run("subscriber_of_its_own");
    assert_ends_well(&ended);
    assert_is_panic(&only(events), "under a lock");
}
