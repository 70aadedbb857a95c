//! Each program on the local provider, and over Modal's wire on a server of this project.

use std::fs::File;
use std::io::Write;

use serde_json::Value;

use crate::place::{Place, finish, printed};

const TOOL_LOOP: &str = env!("CARGO_BIN_EXE_tool-loop");
const PARALLEL_TESTS: &str = env!("CARGO_BIN_EXE_parallel-tests");
const FAN_OUT: &str = env!("CARGO_BIN_EXE_fan-out");
const GPU: &str = env!("CARGO_BIN_EXE_gpu");

/// Runs a program with a provider, standard input and the exit code that it must have; returns its lines.
async fn lines(place: &Place, program: &str, arguments: &[&str], input: &str, code: i32) -> Vec<Value> {
    let path = place.store().with_extension("input");
    File::create(&path).unwrap().write_all(input.as_bytes()).unwrap();
    let mut command = place.command(program);
    command.args(arguments).stdin(File::open(path).unwrap());
    let served = match arguments.contains(&"modal") {
        true => Some(place.serve().await),
        false => None,
    };
    if let Some(served) = &served {
        served.reach(&mut command);
    }
    let output = finish(command).await;
    if let Some(served) = served {
        served.end().await;
    }
    printed(&output, code).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_the_tool_loop_answers_every_call_of_its_script() {
    for provider in ["local", "modal"] {
        let Some(place) = Place::new() else { return };
        let answers = lines(&place, TOOL_LOOP, &["--scripted", "--provider", provider], "", 0).await;
        let result = |id: &str| {
            let answer = answers.iter().find(|answer| answer["id"] == id).expect(id);
            answer["result"].clone()
        };
        assert_eq!(answers.len(), 7, "{answers:?}");
        assert_eq!(result("run")["stdout"], "42\n");
        assert_eq!(result("quoting is no matter")["stdout"], "$HOME; `id`");
        assert_eq!(result("in its own folder")["stdout"], "/tmp\ntest\n");
        assert_eq!((&result("fails")["exitCode"], &result("fails")["stdout"]), (&2.into(), &"".into()));
        assert_eq!(result("hangs")["timedOut"], true);
        let missing = answers.iter().find(|answer| answer["id"] == "missing").unwrap();
        assert_eq!(missing["error"]["kind"], openlattice::ErrorKind::NotFound.as_str());
        place.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tool_loop_reads_calls_and_survives_bad_ones() {
    let Some(place) = Place::new() else { return };
    let calls = concat!(
        "{\"id\":\"1\",\"argv\":[\"cat\"],\"stdin\":\"héllo\"}\n",
        "not json\n",
        "{\"id\":\"2\",\"argv\":[\"true\"],\"shell\":true}\n",
        "{\"id\":\"3\",\"argv\":[\"head\",\"-c\",\"20000\",\"/dev/zero\"]}\n",
    );
    let answers = lines(&place, TOOL_LOOP, &[], calls, 0).await;
    assert_eq!(answers[0]["result"]["stdout"], "héllo");
    assert_eq!(answers[1]["error"]["kind"], openlattice::ErrorKind::InvalidArgument.as_str());
    assert!(answers[2]["error"]["message"].as_str().unwrap().contains("shell"), "{answers:?}");
    assert_eq!(answers[3]["result"]["stdoutDroppedFrom"], 16 << 10);
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_tests_run_in_nodes_of_their_own() {
    let Some(place) = Place::new() else { return };
    let answers = lines(&place, PARALLEL_TESTS, &["--at-once", "5"], "", 0).await;
    assert_eq!(answers.last().unwrap(), &serde_json::json!({"tests": 20, "passed": 20, "failed": 0}));
    assert_eq!(answers.len(), 21);
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_test_is_told_apart_on_both_providers() {
    for provider in ["local", "modal"] {
        let Some(place) = Place::new() else { return };
        let tests = "true\necho why >&2; exit 3\n";
        let answers = lines(&place, PARALLEL_TESTS, &["--stdin", "--provider", provider], tests, 1).await;
        let failed = answers.iter().find(|answer| answer["passed"] == false).unwrap();
        assert_eq!(failed["result"]["exitCode"], 3);
        assert_eq!(failed["result"]["stderr"], "why\n");
        assert_eq!(answers.last().unwrap()["passed"], 1);
        place.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m23_a_snapshot_fans_out_on_both_providers() {
    for provider in ["local", "modal"] {
        let Some(place) = Place::new() else { return };
        let answers = lines(&place, FAN_OUT, &["--nodes", "3", "--provider", provider], "", 0).await;
        assert_eq!((&answers[0]["provider"], &answers[0]["type"]), (&provider.into(), &"filesystem".into()));
        let shares: Vec<_> = answers[1..].iter().map(|line| line["stdout"].as_str().unwrap()).collect();
        assert_eq!(shares, ["share 0\n", "share 1\n", "share 2\n"]);
        assert_ne!(answers[1]["id"], answers[2]["id"]);
        place.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m6_a_gpu_is_refused_here_by_name() {
    let Some(place) = Place::new() else { return };
    let mut command = place.command(GPU);
    command.args(["--gpu", "A100"]);
    let output = finish(command).await;
    assert_eq!(printed(&output, 2), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("\"gpu\"") && said.contains("--provider modal"), "{said}");
    place.close().await;
}

/// Costs a few seconds of a GPU, where somebody says that Modal's own service may be used and has set credentials of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m6_a_gpu_is_there_on_modal() {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if std::env::var("OPENLATTICE_TEST_MODAL").as_deref() != Ok("1") {
        println!("skip: Modal's own service is used only with OPENLATTICE_TEST_MODAL=1");
        return;
    }
    if !(set("MODAL_TOKEN_ID") && set("MODAL_TOKEN_SECRET")) || set("MODAL_SERVER_URL") {
        println!("skip: no credentials of Modal's own service are set");
        return;
    }
    let mut command = std::process::Command::new(GPU);
    command.args(["--provider", "modal"]);
    assert!(printed(&finish(command).await, 0).contains("T4"));
}

#[tokio::test]
async fn what_is_unknown_is_refused_in_words() {
    for (arguments, word) in [(["--provider", "nowhere"], "nowhere"), (["--at-once", "some"], "some")] {
        let mut command = std::process::Command::new(PARALLEL_TESTS);
        command.args(arguments);
        let output = finish(command).await;
        assert_eq!(printed(&output, 1), "");
        assert!(String::from_utf8_lossy(&output.stderr).contains(word));
    }
}
