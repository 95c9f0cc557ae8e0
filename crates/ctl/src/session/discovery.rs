//! Asks DNS where the servers are, if a domain is given instead of endpoints.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

use crate::Error;

/// Which SRV records to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discovery {
    /// The domain that has them.
    pub(super) domain: String,
    /// Tells the services of several clusters in one domain apart; may be empty.
    pub(super) name: String,
}

impl Discovery {
    /// The endpoints of all servers, those with TLS first. One of the two services may be unknown.
    ///
    /// # Errors
    /// If DNS knows neither.
    pub(super) async fn endpoints(&self) -> Result<Vec<String>, Error> {
        let secure = self.ask("etcd-client-ssl", "https").await;
        let plain = self.ask("etcd-client", "http").await;
        match (secure, plain) {
            (Err(secure), Err(plain)) => Err(Error::Failed(format!(
                "dns lookup errors: {secure} and {plain}"
            ))),
            (secure, plain) => {
                let both = [secure, plain].into_iter().flatten();
                Ok(both.flatten().collect())
            }
        }
    }

    async fn ask(&self, service: &str, scheme: &str) -> Result<Vec<String>, String> {
        let name = self.record(service);
        let failed = |why: String| format!("lookup {name}: {why}");
        let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        let resolver = resolver.map_err(|error| failed(error.to_string()))?;
        let answer = resolver.srv_lookup(name.as_str()).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let records = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            });
        let mut records: Vec<_> = records
            .map(|srv| (srv.priority, srv.target.to_utf8(), srv.port))
            .collect();
        records.sort_unstable();
        let endpoints = records.into_iter();
        Ok(endpoints
            .map(|(_, host, port)| format!("{scheme}://{}:{port}", host.trim_end_matches('.')))
            .collect())
    }

    fn record(&self, service: &str) -> String {
        let Discovery { domain, name } = self;
        let dash = if name.is_empty() { "" } else { "-" };
        format!("_{service}{dash}{name}._tcp.{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_services_apart() {
        let mut discovery = Discovery {
            domain: "example.com".into(),
            name: String::new(),
        };
        assert_eq!(
            discovery.record("etcd-client"),
            "_etcd-client._tcp.example.com"
        );
        discovery.name = "b".into();
        assert_eq!(
            discovery.record("etcd-client-ssl"),
            "_etcd-client-ssl-b._tcp.example.com"
        );
    }
}
