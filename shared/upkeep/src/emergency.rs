//! Emergency mode: the flag that all processes see.

use std::time::Duration;

use millrace_cache::Emergency;

use crate::{
    error::UpkeepError,
    progress::Progress,
    report::EmergencyModeReport,
    request::{MAX_EMERGENCY_SECONDS, SwitchEmergency},
};

/// Sets the flag. When emergency mode is on, the present copies are made to live until its end.
pub(crate) async fn switch_emergency(
    progress: &mut Progress<'_>,
    SwitchEmergency { enabled, duration }: SwitchEmergency,
) -> Result<EmergencyModeReport, UpkeepError> {
    let (now, deadline) = (progress.ctx.now, progress.ctx.deadline);
    // "Off" has to be known for as long as some process may still know "on".
    let known_for = if enabled { duration } else { Duration::from_secs(MAX_EMERGENCY_SECONDS) };
    let emergency = Emergency { enabled, switched_at: now, until: now + known_for };
    progress.cache.switch_emergency(emergency, deadline).await?;
    tracing::warn!(enabled, until = %emergency.until, "emergency mode was switched");
    let until = enabled.then_some(emergency.until);
    let mut report = EmergencyModeReport { enabled, until, extended: 0, done: !enabled };
    let mut cursor = None;
    while !report.done && !progress.is_over() {
        // The flag is set, whatever becomes of the copies.
        let page = progress.cache.scan_players(cursor.as_ref(), deadline).await;
        let Some(page) = progress.unless_cut_off(page, true)? else { break };
        let extended = progress.cache.extend(&page.players, now, emergency.until, deadline).await;
        let Some(extended) = progress.unless_cut_off(extended, true)? else { break };
        report.extended += extended;
        cursor = page.next;
        report.done = cursor.is_none();
    }
    Ok(report)
}
