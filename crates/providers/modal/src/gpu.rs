//! The GPU types that Modal offers.

use openlattice::{Gpu, GpuType};
use openlattice_modal_client as modal;

/// Known names. Source: the enum `GPUType` in the descriptors of Modal's Python package 1.6.4 (November 2026), in the
/// notation that its functions take. Modal adds types, so another name is passed on with a warning.
const KNOWN: [&str; 8] = ["T4", "L4", "A10G", "A100", "A100-80GB", "L40S", "H100", "H200"];

/// The type of a GPU asked for without one.
const DEFAULT: &str = "T4";

/// The most GPUs of one sandbox.
pub(crate) const MAX_COUNT: u32 = 8;

/// Gives the known types.
pub(crate) fn known() -> Vec<GpuType> {
    KNOWN.iter().map(|name| GpuType::new(*name).expect("the known names are well formed")).collect()
}

/// Gives the requests as Modal takes them, in the order in which they are to be tried, each with a warning for a name that is not
/// known. The wire has one type for a sandbox, so a list is tried one by one.
pub(crate) fn requests(gpu: &Gpu) -> Vec<(modal::Gpu, Option<String>)> {
    let first = gpu.gpu_type.as_ref().map_or(DEFAULT, GpuType::as_str);
    let names = std::iter::once(first).chain(gpu.fallback.iter().map(GpuType::as_str));
    names.map(|name| request(name, gpu.count_or_one())).collect()
}

fn request(name: &str, count: u32) -> (modal::Gpu, Option<String>) {
    let kind = name.to_uppercase();
    let warning = (!KNOWN.contains(&kind.as_str()))
        .then(|| format!("GPU type {kind} is not one that is known here and was passed on as it is"));
    (modal::Gpu { kind, count }, warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m03_a100_and_h100_are_known() {
        let names: Vec<String> = known().into_iter().map(String::from).collect();
        assert!(names.contains(&"A100".to_owned()) && names.contains(&"H100".to_owned()));
    }

    #[test]
    fn m06_type_and_count_are_passed_on() {
        let gpu = Gpu { gpu_type: Some(GpuType::new("a100").unwrap()), count: Some(2), ..Gpu::default() };
        assert_eq!(requests(&gpu), [(modal::Gpu { kind: "A100".to_owned(), count: 2 }, None)]);
    }

    #[test]
    fn m07_a_gpu_without_a_type_is_a_t4() {
        let asked = requests(&Gpu::default());
        assert_eq!((asked[0].0.kind.as_str(), asked[0].0.count), ("T4", 1));
    }

    #[test]
    fn an_unknown_type_is_passed_on_with_a_warning() {
        let gpu = Gpu { gpu_type: Some(GpuType::new("Z9000").unwrap()), ..Gpu::default() };
        let (asked, warning) = &requests(&gpu)[0];
        assert_eq!(asked.kind, "Z9000");
        assert!(warning.as_ref().unwrap().contains("Z9000"));
    }
}
