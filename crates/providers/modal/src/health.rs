//! Whether Modal answers.

use std::time::Duration;

use openlattice::Health;
use openlattice_modal_client as modal;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks for a sign of life; no failure is an error.
pub(crate) async fn check(client: &modal::Client) -> Health {
    match client.hello(LIMIT).await {
        Ok(latency) => Health::healthy(latency),
        Err(error) => match error.kind() {
            modal::ErrorKind::Unavailable | modal::ErrorKind::Timeout | modal::ErrorKind::InvalidConfig => {
                Health::unreachable(format_args!("{} at {}", error.message(), client.config().server_url()))
            }
            _ => Health::unhealthy(error.to_string()),
        },
    }
}
