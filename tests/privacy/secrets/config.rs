//! Settings with secrets in the wrong place: neither the error nor the builder's `Debug` shows them.

use super::{KEYS, Leaks, PERSONAL_KEY, PROJECT_KEY, TENANT, shown_by};
use std::process::Command;
use tracing_posthog::{PostHogClient, PostHogClientBuilder, PostHogError};

fn builder() -> PostHogClientBuilder {
    PostHogClient::builder().project_api_key(PROJECT_KEY)
}

/// Looks at builder and error, and expects an error about that setting.
#[track_caller]
fn refused(leaks: &mut Leaks, case: &str, builder: PostHogClientBuilder, setting: &str) {
    let debug = format!("{builder:?} {builder:#?}");
    leaks.look(case, &KEYS, vec![("builder".into(), debug)]);
    let error = builder.build().unwrap_err();
    assert!(
        matches!(&error, PostHogError::Config { setting: named, problem, .. }
            if *named == setting && !problem.is_empty()),
        "{case}: {error:?}"
    );
    leaks.look(case, &KEYS, shown_by(&error));
}

#[test]
fn a_host_that_is_none_shows_no_secret() {
    let mut leaks = Leaks::default();
    for host in [
        PERSONAL_KEY.to_owned(),
        PROJECT_KEY.to_owned(),
        format!(" {PERSONAL_KEY}\n"),
        format!("\"{PERSONAL_KEY}\""),
        format!("POSTHOG_API_KEY={PROJECT_KEY}"),
        // A key of another shape, or a token.
        "TenantMark9f8e7d6c5b4aTenantMark9f8e7d6c5b4a".to_owned(),
        TENANT.to_owned(),
        format!("https://ada:{TENANT}@posthog.example.com"),
        format!("https://{TENANT}@posthog.example.com"),
        format!("https://ada:{TENANT}@posthog.example.com/batch/"),
        format!("https://ada:{TENANT}@"),
        format!("ada:{TENANT}@posthog.example.com"),
        format!("ftp://ada:{TENANT}@posthog.example.com"),
        format!("https://ada:{TENANT}@eu.posthog.com/project/1?a=b"),
        format!("https://posthog.example.com/?token={TENANT}"),
        format!("https://posthog.example.com?{TENANT}"),
        format!("https://posthog.example.com/#{TENANT}"),
        format!("https://posthog.example.com/batch/?api_key={PROJECT_KEY}"),
        format!("https://us.posthog.com/?personal_api_key={PERSONAL_KEY}&x=a@b"),
        format!("https://us.posthog.com/{PERSONAL_KEY}"),
        format!("posthog.example.com/?token={TENANT}"),
        format!("posthog.example.com?token={TENANT}"),
        format!("posthog.example.com/{PROJECT_KEY}"),
    ] {
        refused(&mut leaks, &host, builder().host(&host), "host");
    }
    leaks.assert_none(80);
}

#[test]
fn a_host_with_a_key_shows_no_key_even_where_it_is_taken() {
    let mut leaks = Leaks::default();
    for host in [
        format!("https://posthog.example.com/{PROJECT_KEY}"),
        format!("https://{PERSONAL_KEY}.example.com"),
        format!("http://localhost:8000/ingest/{PERSONAL_KEY}/"),
    ] {
        let builder = builder().host(&host);
        let debug = format!("{builder:?} {builder:#?}");
        leaks.look(&host, &KEYS, vec![("builder".into(), debug)]);
        match builder.build() {
            Ok(client) => {
                let debug = format!("{client:?} {client:#?}");
                leaks.look(&host, &KEYS, vec![("client".into(), debug)]);
            }
            Err(error) => leaks.look(&host, &KEYS, shown_by(&error)),
        }
    }
    leaks.assert_none(6);
}

#[test]
fn a_key_that_is_none_shows_no_secret() {
    let mut leaks = Leaks::default();
    let long = format!("{TENANT}{}", "x".repeat(64));
    for key in [
        PERSONAL_KEY,
        "phs_PersonalMark4Tn9",
        "phc_ProjectMark7Q2wZ ProjectMark",
        "phc_ProjectMärk ProjectMark",
        "ProjectMark\0",
        &long,
    ] {
        let builder = PostHogClient::builder().project_api_key(key);
        refused(&mut leaks, key, builder, "project_api_key");
    }
    for key in [
        PROJECT_KEY,
        "phx_PersonalMark PersonalMark",
        "PersonalMarkä",
    ] {
        let builder = PostHogClient::builder().personal_api_key(key);
        refused(&mut leaks, key, builder, "personal_api_key");
    }
    leaks.assert_none(9);
}

#[test]
fn a_malformed_header_shows_neither_its_name_nor_its_value() {
    let mut leaks = Leaks::default();
    for (name, value) in [
        ("Authorization: Bearer TenantMark-9f8e7d6c", "x"),
        ("TenantMark 9f8e7d6c", "x-tenant-token"),
        ("phx_PersonalMark4Tn9\n", "authorization"),
        ("BasicMark=", "\u{7f}"),
        ("", "TenantMark"),
        ("x-tenant-token", "TenantMark-9f8e7d6c\n"),
        ("x-tenant-token", "TenantMark\0"),
    ] {
        refused(&mut leaks, name, builder().header(name, value), "header");
    }
    leaks.assert_none(28);
}

#[test]
fn a_good_header_shows_no_value() {
    let builder = builder().header("x-tenant-token", TENANT);
    let mut leaks = Leaks::default();
    let mut shown = vec![("builder".into(), format!("{builder:?} {builder:#?}"))];
    let client = builder.build().unwrap();
    shown.push(("client".into(), format!("{client:?} {client:#?}")));
    leaks.look("a header", &KEYS, shown);
    leaks.assert_none(2);
}

#[cfg(feature = "rest")]
#[test]
fn an_alias_that_is_none_shows_no_secret() {
    let mut leaks = Leaks::default();
    for alias in [
        PERSONAL_KEY.to_owned() + "/",
        format!("ada:{TENANT}@posthog.example.com"),
        format!("https://ada:{TENANT}@posthog.example.com/"),
        format!("posthog.example.com?token={TENANT}"),
        format!("{TENANT} ") + TENANT,
    ] {
        refused(&mut leaks, &alias, builder().alias(&alias), "alias");
    }
    leaks.assert_none(20);
}

/// Another process has the variables: they belong to the whole of it.
#[test]
fn swapped_variables_show_no_secret() {
    const INNER: &str = "POSTHOG_TEST_OF_SWAPPED_VARIABLES";
    if std::env::var_os(INNER).is_some() {
        return in_swapped_variables();
    }
    for (project, host) in [
        ("https://eu.posthog.com", PERSONAL_KEY),
        ("https://eu.posthog.com", PROJECT_KEY),
        (PERSONAL_KEY, PROJECT_KEY),
        (
            PROJECT_KEY,
            "https://ada:TenantMark-9f8e7d6c@eu.posthog.com",
        ),
        (
            PROJECT_KEY,
            "https://eu.posthog.com/?token=TenantMark-9f8e7d6c",
        ),
    ] {
        let test = "secrets::config::swapped_variables_show_no_secret";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INNER, "1")
            .env("POSTHOG_API_KEY", project)
            .env("POSTHOG_HOST", host)
            .env_remove("POSTHOG_PERSONAL_API_KEY")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{host}: {said} {why}");
        assert!(said.contains("1 passed"), "{host}: {said}");
    }
}

fn in_swapped_variables() {
    let mut leaks = Leaks::default();
    let builder = PostHogClientBuilder::from_env().unwrap();
    let debug = format!("{builder:?}");
    leaks.look("variables", &KEYS, vec![("builder".into(), debug)]);
    let error = PostHogClient::from_env().unwrap_err();
    assert!(error.to_string().starts_with("POSTHOG_"), "{error}");
    leaks.look("variables", &KEYS, shown_by(&error));
    let error = tracing_posthog::PostHogLayer::from_env().unwrap_err();
    leaks.look("variables", &KEYS, shown_by(&error));
    leaks.assert_none(7);
}
