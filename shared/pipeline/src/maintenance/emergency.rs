//! Emergency mode: the flag that all processes see.

use millrace_cache::Emergency;

use super::{
    error::MaintenanceError,
    maintained::EmergencyMode,
    request::{MAX_EMERGENCY_SECONDS, SwitchEmergency},
    run::Task,
};
use crate::service::Service;

impl Service {
    /// Tells everybody, and when it is on, has the copies that there are live until its end.
    pub(super) async fn switch_emergency(
        &self,
        SwitchEmergency { enabled, duration }: SwitchEmergency,
        task: &mut Task<'_>,
    ) -> Result<EmergencyMode, MaintenanceError> {
        // That it is off has to be known for as long as anybody may think that it is on.
        let told_for = if enabled { duration } else { std::time::Duration::from_secs(MAX_EMERGENCY_SECONDS) };
        let emergency = Emergency { enabled, switched_at: task.now, until: task.now + told_for };
        task.upkeep.switch_emergency(emergency, task.deadline).await?;
        tracing::warn!(enabled, until = %emergency.until, "emergency mode was switched");
        let until = enabled.then_some(emergency.until);
        let mut mode = EmergencyMode { enabled, until, extended: 0, done: !enabled };
        let mut cursor = None;
        while !mode.done && !task.is_over() {
            // The flag is there, whatever becomes of the copies.
            let page = task.upkeep.scan_players(cursor.as_ref(), task.deadline).await;
            let Some(page) = task.unless_cut_short(page, true)? else { break };
            let extended = task.upkeep.extend(&page.players, task.now, emergency.until, task.deadline).await;
            let Some(extended) = task.unless_cut_short(extended, true)? else { break };
            mode.extended += extended;
            cursor = page.next;
            mode.done = cursor.is_none();
        }
        Ok(mode)
    }
}
