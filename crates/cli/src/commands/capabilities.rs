//! `lattice capabilities`.

use clap::Args;

use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Show what the provider offers, and the server that it speaks to
///
/// What is not offered is refused with exit code 6, before anything is created.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice capabilities --json | jq .snapshot
  lattice capabilities --provider modal")]
pub(crate) struct Capabilities {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Capabilities {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let opened = context.open().await?;
        let capabilities = opened.provider.capabilities();
        let mut json = serde_json::to_value(capabilities).expect("our own types always serialise");
        if let Some(server) = opened.server {
            json["server"] = server.into();
        }
        if self.json {
            return output::print_json(&json);
        }
        let mut text = String::new();
        lines("", &json, &mut text);
        output::print(&text)
    }
}

/// One line per value: its path and itself.
fn lines(path: &str, value: &serde_json::Value, text: &mut String) {
    let Some(object) = value.as_object() else {
        text.push_str(&format!("{path}: {}\n", shown(value)));
        return;
    };
    for (name, value) in object {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        lines(&path, value, text);
    }
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Bool(true) => "yes".to_owned(),
        serde_json::Value::Bool(false) => "no".to_owned(),
        serde_json::Value::Null => "no bound".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_words() {
        let mut text = String::new();
        lines("", &serde_json::json!({"a": {"b": true, "c": null}, "d": ["x", "y"]}), &mut text);
        assert_eq!(text, "a.b: yes\na.c: no bound\nd: x, y\n");
    }
}
