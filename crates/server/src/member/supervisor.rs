//! Telling a service manager that the member is ready.

/// Says `READY=1` if somebody has asked for it by `NOTIFY_SOCKET`.
pub(super) fn ready() {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    tracing::info!("notifying init daemon");
    match sd_notify::notify(false, &[sd_notify::NotifyState::Ready]) {
        Ok(()) => tracing::info!("successfully notified init daemon"),
        Err(error) => tracing::error!(%error, "failed to notify init daemon"),
    }
}
