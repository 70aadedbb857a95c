//! What a store says beside what is there.

use openlattice_engine::{StoreFinding, StoreReport};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Checks the store and prints what does not fit; 0 when nothing does.
pub(super) async fn check(context: &Context, as_json: bool) -> Result<u8> {
    let report = context.engine("doctor --store").await?.check().await?;
    if as_json {
        output::print_json(&described(&report))?;
    } else if report.findings.is_empty() {
        output::print_line(&clean(context, &report))?;
    } else {
        output::print(&table(&report.findings))?;
    }
    Ok(u8::from(!report.findings.is_empty()))
}

fn clean(context: &Context, report: &StoreReport) -> String {
    let StoreReport { sandboxes, living, images, volumes, bytes, .. } = report;
    let store = context.state_dir.display();
    format!(
        "store {store} is clean: {sandboxes} sandboxes ({living} living), {images} images, {volumes} volumes, {bytes} bytes"
    )
}

fn table(findings: &[StoreFinding]) -> String {
    let heading = ["WHAT", "PROBLEM", "REMEDY"].map(str::to_owned);
    let rows = findings
        .iter()
        .map(|finding| [finding.thing.clone(), finding.problem.clone(), finding.remedy.clone()]);
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn described(report: &StoreReport) -> Value {
    let findings = report.findings.iter().map(
        |finding| json!({ "thing": finding.thing, "problem": finding.problem, "remedy": finding.remedy }),
    );
    json!({
        "clean": report.findings.is_empty(),
        "sandboxes": report.sandboxes,
        "living": report.living,
        "images": report.images,
        "volumes": report.volumes,
        "bytes": report.bytes,
        "findings": findings.collect::<Vec<_>>(),
    })
}
