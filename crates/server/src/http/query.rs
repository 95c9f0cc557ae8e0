//! Parameters after the question mark.

/// The parameters of a request.
pub(crate) struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    pub(crate) fn new(query: Option<&'q str>) -> Query<'q> {
        Query(query.unwrap_or(""))
    }

    /// All values of a parameter but empty ones.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        form_urlencoded::parse(self.0.as_bytes())
            .filter(|(found, value)| found == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// The first value of a parameter; empty if it is missing.
    pub(crate) fn first(&self, name: &str) -> String {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    /// Whether a parameter is there, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        form_urlencoded::parse(self.0.as_bytes()).any(|(found, _)| found == name)
    }
}
