//! Calls that clients repeat after a lost answer, told by their idempotency key.

use crate::shared::Shared;
use http::HeaderMap;
use tonic::Status;

/// The caller's key for this call; odd ones (empty, huge) count as none.
pub(super) fn key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("x-idempotency-key")?.to_str().ok()?;
    (!key.is_empty() && key.len() <= 128).then(|| key.to_owned())
}

/// True when a call of this key to make `what` came before: finding it made is no clash then, but its own work.
pub(super) async fn came_before(
    shared: &Shared,
    method: &'static str,
    key: Option<&str>,
    what: &str,
) -> Result<bool, Status> {
    let Some(key) = key else { return Ok(false) };
    let (value, repeated) = shared.state.reserve(method, key, what.to_owned()).await?;
    Ok(repeated && value == what)
}
