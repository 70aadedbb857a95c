//! Every Python sample of the guides runs with Modal's official client.

use std::path::{Path, PathBuf};

use crate::place::{Place, finish, printed};

/// The guides with Python in them.
const GUIDES: [&str; 2] = ["from-modal-python.md", "serve.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The fenced samples of a language, with the line on which each starts.
fn samples(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line.starts_with("```") => found.extend(open.take()),
            Some((_, sample)) => {
                sample.push_str(line);
                sample.push('\n');
            }
            None if line.trim_start_matches('`') == language && line.starts_with("```") => {
                open = Some((index + 2, String::new()));
            }
            None => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_python_sample_runs() {
    let python = root().join("target/venv/bin/python");
    if !python.is_file() {
        println!("skip: no {} (`cargo xtask drift` installs the official client)", python.display());
        return;
    }
    let Some(place) = Place::new() else { return };
    let served = place.serve().await;
    let mut count = 0;
    for guide in GUIDES {
        let text = std::fs::read_to_string(root().join("docs").join(guide)).unwrap();
        for (line, sample) in samples(&text, "python") {
            let mut command = place.command(&python);
            served.reach(&mut command);
            command.arg("-c").arg(&sample);
            let output = finish(command).await;
            println!("{guide}:{line}");
            printed(&output, 0);
            count += 1;
        }
    }
    served.end().await;
    place.close().await;
    assert!(count >= 8, "only {count} samples were found");
}

#[test]
fn samples_are_found_by_language() {
    let text = "a\n```python\nx = 1\n```\n```rust\nlet x;\n```\n```python\ny\n```\n";
    assert_eq!(samples(text, "python"), [(3, "x = 1\n".to_owned()), (9, "y\n".to_owned())]);
}
