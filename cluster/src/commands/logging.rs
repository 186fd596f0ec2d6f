//! Logs of a long-running command: to standard output, one line an event. `LEASEHOLD_LOG` overrides the level for
//! single modules, as `leasehold_store=debug`.

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// The environment variable that overrides `[log] level`.
const OVERRIDE: &str = "LEASEHOLD_LOG";

/// Begins to log. What the libraries below say is shown from warnings on.
pub(super) fn begin(config: LogConfig) {
    let level = config.level.as_str();
    let default = format!(
        "warn,leasehold={level},leasehold_store={level},leasehold_frontend={level},leasehold_proto={level}"
    );
    let filter = EnvFilter::try_from_env(OVERRIDE).unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(false);
    // It fails only if logging was begun before: then the first stays.
    let _ = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
