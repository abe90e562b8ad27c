//! Where the daemons are, by Hadoop's rules and default ports.

use super::HadoopConf;

impl HadoopConf {
    /// The web addresses of the ResourceManagers: one, or all of a highly available pair
    /// (`yarn.resourcemanager.webapp.address` and its kin, `yarn.http.policy`).
    pub fn resource_managers(&self) -> Vec<String> {
        let https = self.get("yarn.http.policy").is_some_and(|policy| policy == "HTTPS_ONLY");
        let (key, port) = if https { ("webapp.https.address", 8090) } else { ("webapp.address", 8088) };
        let scheme = if https { "https" } else { "http" };
        let place = |suffix: &str| {
            let host = self.get(&format!("yarn.resourcemanager.hostname{suffix}"));
            self.get(&format!("yarn.resourcemanager.{key}{suffix}"))
                .map(|address| match host.as_deref() {
                    // A daemon that binds to every address is found by its host name.
                    Some(host) => address.replace("0.0.0.0", host),
                    None => address,
                })
                .or_else(|| host.map(|host| format!("{host}:{port}")))
                .map(|address| format!("{scheme}://{address}/"))
        };
        if self.get_bool("yarn.resourcemanager.ha.enabled", false) {
            let ids = self.get_list("yarn.resourcemanager.ha.rm-ids");
            return ids.iter().filter_map(|id| place(&format!(".{id}"))).collect();
        }
        place("").into_iter().collect()
    }

    /// `fs.defaultFS` without a slash at the end; None where it is not set.
    pub fn default_fs(&self) -> Option<String> {
        let value = self.get("fs.defaultFS").or_else(|| self.get("fs.default.name"))?;
        Some(value.trim_end_matches('/').to_owned())
    }

    /// The web addresses of the NameNodes of an `hdfs://` file system.
    pub fn name_nodes(&self, default_fs: &str) -> Vec<String> {
        let Some(authority) = default_fs.strip_prefix("hdfs://") else { return Vec::new() };
        let https = self.get("dfs.http.policy").is_some_and(|policy| policy == "HTTPS_ONLY");
        let (key, port) = if https { ("https-address", 9871) } else { ("http-address", 9870) };
        let scheme = if https { "https" } else { "http" };
        let nodes = self.get_list(&format!("dfs.ha.namenodes.{authority}"));
        if !nodes.is_empty() {
            let places = nodes.iter().filter_map(|node| {
                let rpc = self.get(&format!("dfs.namenode.rpc-address.{authority}.{node}"));
                let host = rpc.as_deref().and_then(|rpc| rpc.split(':').next()).map(str::to_owned);
                let address = self.get(&format!("dfs.namenode.{key}.{authority}.{node}"));
                reachable(address, host.as_deref(), port)
            });
            return places.map(|address| format!("{scheme}://{address}/")).collect();
        }
        let host = authority.split(':').next().filter(|host| !host.is_empty());
        let address = reachable(self.get(&format!("dfs.namenode.{key}")), host, port);
        address.into_iter().map(|address| format!("{scheme}://{address}/")).collect()
    }

    /// The entries of `yarn.application.classpath`; None where it is not set.
    pub fn yarn_class_path(&self) -> Option<Vec<String>> {
        let entries = self.get_list("yarn.application.classpath");
        (!entries.is_empty()).then_some(entries)
    }

    /// Whether Hadoop asks for Kerberos.
    pub fn is_secure(&self) -> bool {
        self.get("hadoop.security.authentication").is_some_and(|kind| kind.eq_ignore_ascii_case("kerberos"))
    }
}

fn reachable(address: Option<String>, host: Option<&str>, port: u16) -> Option<String> {
    match (address, host) {
        (Some(address), Some(host)) => Some(address.replace("0.0.0.0", host)),
        (Some(address), None) => Some(address),
        (None, Some(host)) => Some(format!("{host}:{port}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(pairs: &[(&str, &str)]) -> HadoopConf {
        let mut conf = HadoopConf::new();
        pairs.iter().for_each(|(name, value)| conf.set(*name, *value));
        conf
    }

    #[test]
    fn resource_managers_by_host_address_policy_and_id() {
        let one = conf(&[("yarn.resourcemanager.hostname", "rm")]);
        assert_eq!(one.resource_managers(), ["http://rm:8088/"]);
        let bound =
            conf(&[("yarn.resourcemanager.hostname", "rm"), ("yarn.resourcemanager.webapp.address", "0.0.0.0:18088")]);
        assert_eq!(bound.resource_managers(), ["http://rm:18088/"]);
        let pair = conf(&[
            ("yarn.resourcemanager.ha.enabled", "true"),
            ("yarn.resourcemanager.ha.rm-ids", "rm1, rm2"),
            ("yarn.resourcemanager.hostname.rm1", "a"),
            ("yarn.resourcemanager.webapp.https.address.rm2", "b:9999"),
            ("yarn.http.policy", "HTTPS_ONLY"),
        ]);
        assert_eq!(pair.resource_managers(), ["https://a:8090/", "https://b:9999/"]);
        assert!(HadoopConf::new().resource_managers().is_empty());
    }

    #[test]
    fn name_nodes_of_one_and_of_a_name_service() {
        let one = conf(&[("fs.defaultFS", "hdfs://nn:8020/")]);
        assert_eq!(one.default_fs().as_deref(), Some("hdfs://nn:8020"));
        assert_eq!(one.name_nodes("hdfs://nn:8020"), ["http://nn:9870/"]);
        let pair = conf(&[
            ("dfs.ha.namenodes.prod", "nn1,nn2"),
            ("dfs.namenode.http-address.prod.nn1", "a:9870"),
            ("dfs.namenode.rpc-address.prod.nn2", "b:8020"),
        ]);
        assert_eq!(pair.name_nodes("hdfs://prod"), ["http://a:9870/", "http://b:9870/"]);
        assert!(pair.name_nodes("file:///").is_empty());
    }
}
