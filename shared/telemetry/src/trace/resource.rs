//! The process that the spans come from.

/// The process that the spans come from.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// The attributes, such as `service.name`.
    pub attributes: Vec<(&'static str, String)>,
}

impl Resource {
    /// The name of the service; empty if there is none.
    pub(super) fn service_name(&self) -> &str {
        self.attributes.iter().find(|(name, _)| *name == "service.name").map_or("", |(_, value)| value)
    }
}
