//! Values of options: durations, amounts, variables.

use std::collections::BTreeMap;
use std::time::Duration;

use openlattice::{Gpu, GpuType, VolumeMount};

use crate::failure::Failure;

mod port;

pub(crate) use port::port;

/// Parses `30s`, `500ms`, `5m`, `1.5h` or a plain number of seconds; not zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("write a time like 500ms, 30s, 5m, 2h or 1d".to_owned()),
    };
    let seconds = decimal(number).ok_or("write a time like 500ms, 30s, 5m, 2h or 1d")? * factor;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a time must be above zero and below the age of the universe".to_owned()),
    }
}

/// Parses `512m`, `1.5g`, `64k`, or bytes; units are powers of 1024, with or without `b` or `ib`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    const WRONG: &str = "write an amount like 512m, 1.5g or 1048576";
    let lower = text.to_ascii_lowercase();
    let split = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let shift = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(WRONG.to_owned()),
    };
    let scaled =
        decimal(number).ok_or(WRONG)? * f64::from(1_u32 << (shift / 2)) * f64::from(1_u32 << (shift / 2));
    whole(scaled).ok_or_else(|| WRONG.to_owned())
}

/// Parses a number of processors such as `1` or `0.5` to thousandths.
pub(crate) fn milli_cpus(text: &str) -> Result<u32, String> {
    const WRONG: &str = "write a number of processors like 2 or 0.5";
    let millis = whole(decimal(text).ok_or(WRONG)? * 1000.0).ok_or(WRONG)?;
    u32::try_from(millis).map_err(|_| WRONG.to_owned())
}

/// Parses `NAME:/PATH`, `NAME:/PATH:ro` or `NAME:/PATH:rw`.
pub(crate) fn volume(text: &str) -> Result<VolumeMount, String> {
    const WRONG: &str = "write a volume like data:/data or data:/data:ro";
    let (name, place) = text.split_once(':').ok_or(WRONG)?;
    if name.starts_with(['.', '~']) || name.contains('/') {
        return Err(
            "host directories are not mounted: use `lattice cp` or a volume like data:/data".to_owned()
        );
    }
    let (path, read_only) = match place.rsplit_once(':') {
        Some((path, "ro")) => (path, true),
        Some((path, "rw")) => (path, false),
        Some(_) => return Err(WRONG.to_owned()),
        None => (place, false),
    };
    if name.is_empty() || !path.starts_with('/') || path.contains(':') {
        return Err(WRONG.to_owned());
    }
    Ok(VolumeMount { read_only, ..VolumeMount::new(name, path) })
}

/// Parses a name that every command can take in place of an id, `cp NAME:/path` too.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let unusable = |c: char| matches!(c, '/' | ':') || c.is_control();
    if text.is_empty() || text.starts_with('-') || text.trim() != text || text.contains(unusable) {
        return Err("write a name like web-1: no '/' and ':', no '-' or blank at its start".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses `NAME=VALUE`; the value may be empty and may contain `=`.
pub(crate) fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write a tag like job=17".to_owned()),
    }
}

/// Tags as a map; a name may come once.
pub(crate) fn distinct(tags: &[(String, String)]) -> crate::failure::Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for (name, value) in tags {
        if map.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::invalid(format!("the tag {name:?} is given twice\nhint: give it once")));
        }
    }
    Ok(map)
}

/// Parses `T4`, `A100:2` or `H100:8,A100`: a type with a count, and types that do as well.
pub(crate) fn gpu(text: &str) -> Result<Gpu, String> {
    const WRONG: &str = "write a GPU like T4, A100:2 or H100:8,A100";
    let mut types = text.split(',');
    let first = types.next().unwrap_or_default();
    let (first, count) = match first.split_once(':') {
        Some((first, count)) => {
            let count = count.parse().ok().filter(|count| *count > 0 && !text.contains(":+"));
            (first, Some(count.ok_or(WRONG)?))
        }
        None => (first, None),
    };
    let read = |name: &str| GpuType::new(name).map_err(|_| WRONG);
    let fallback = types.map(read).collect::<Result<_, _>>()?;
    Ok(Gpu { gpu_type: Some(read(first)?), count, fallback })
}

/// A finite number of digits with at most one point.
fn decimal(text: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    text.parse().ok().filter(|_| !text.is_empty() && text.chars().all(digits))
}

/// Rounds a positive number to a whole one, at least 1.
fn whole(number: f64) -> Option<u64> {
    let rounded = number.round();
    if !(1.0..9e15).contains(&rounded) {
        return None;
    }
    format!("{rounded:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        for bad in ["", "0", "0s", "s", "-1", "1y", "1e3", "inf", "nan", "1 s"] {
            assert!(duration(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn volumes_have_a_name_and_a_path() {
        assert_eq!(volume("data:/data"), Ok(VolumeMount::new("data", "/data")));
        assert!(volume("data:/data:ro").unwrap().read_only && !volume("data:/data:rw").unwrap().read_only);
        for bad in ["", "data", ":/data", "data:", "data:relative", "data:/data:x", "host:/data:ro:ro"] {
            assert!(volume(bad).is_err(), "{bad:?} was taken");
        }
        for host in ["/tmp:/data", "./x:/x", "..:/x", "~/x:/x:ro", "a/b:/x"] {
            assert!(volume(host).unwrap_err().contains("host directories"), "{host:?}");
        }
        assert_eq!(tag("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(tag("a").is_err() && tag("=b").is_err());
    }

    #[test]
    fn names_can_be_typed_wherever_an_id_can() {
        for good in ["web", "web-1", "a b", "sb-0", "naïve", ".x"] {
            assert_eq!(name(good), Ok(good.to_owned()));
        }
        for bad in ["", "-x", "a/b", "a:b", " x", "x ", "a\nb"] {
            assert!(name(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn gpus_have_a_type_a_count_and_others_that_do() {
        let names = |gpu: &Gpu| gpu.fallback.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = gpu("H100:8,A100,L4").unwrap();
        assert_eq!((all.gpu_type.as_ref().unwrap().as_str(), all.count), ("H100", Some(8)));
        assert_eq!(names(&all), ["A100", "L4"]);
        let one = gpu("t4").unwrap();
        assert_eq!((one.gpu_type.unwrap().as_str(), one.count), ("t4", None));
        for bad in
            ["", ":2", "A100:", "A100:0", "A100:+2", "A100:two", "A100:2:3", "A100,", "A100,L4:2", "A 100"]
        {
            assert!(gpu(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!(bytes("512m"), Ok(512 << 20));
        assert_eq!(bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(bytes("1024"), Ok(1024));
        assert_eq!(bytes("1t"), Ok(1 << 40));
        for bad in ["", "m", "0", "1x", "-1m", "1e9"] {
            assert!(bytes(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(milli_cpus("0.5"), Ok(500));
        assert!(milli_cpus("0").is_err());
    }
}
