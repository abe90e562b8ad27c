#!/usr/bin/env python3
"""Runs a real HDFS and YARN with Kerberos and TLS, beside a KDC of their own; else as hadoop.py, with its arguments.

    secure.py --home FOLDER --work FOLDER [hadoop.py's arguments]

The KDC is Debian's krb5kdc on a free port of the loopback, started as a child like the daemons: no service of the system
is touched. Principals and keytabs are those of PRINCIPALS. NameNode, DataNode, ResourceManager and NodeManager speak
https only, with certificates of an authority made here. `kdc` is one more NAME that the lines on stdin may name.
"""

import json
import os
import shutil
import subprocess
import sys
import time

import hadoop
from ports import free_ports

REALM = "STREAMPARK.TEST"
# Name, longest life of its tickets, longest renewable life.
PRINCIPALS = {
    "hdfs/localhost": ("1 hour", "1 day"),
    "yarn/localhost": ("1 hour", "1 day"),
    "HTTP/localhost": ("1 hour", "1 day"),
    # Two that submit, each in its own name.
    "alice": ("1 hour", "1 day"),
    "carol": ("1 hour", "1 day"),
    # Tickets that end while a test watches: one that may be renewed, one that may not.
    "brief": ("40 seconds", "1 day"),
    "mayfly": ("12 seconds", "12 seconds"),
    # May act for bob, who has no key here, and for nobody else.
    "gate": ("1 hour", "1 day"),
    "bob": ("1 hour", "1 day"),
}
USERS = ["alice", "carol", "brief", "mayfly", "gate", "bob"]
SECRET = "changeit"
# Hadoop's cookies end soon, so that tickets matter.
COOKIE_SECONDS = 15

KRB5_CONF = """[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  localhost = {realm}
"""
KDC_CONF = """[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    max_life = 1h
    max_renewable_life = 1d
    supported_enctypes = aes256-cts:normal aes128-cts:normal
  }}
[logging]
  kdc = FILE:{folder}/kdc.log
"""
SSL_SERVER = {
    "ssl.server.keystore.type": "pkcs12",
    "ssl.server.keystore.password": SECRET,
    "ssl.server.keystore.keypassword": SECRET,
    "ssl.server.truststore.type": "pkcs12",
    "ssl.server.truststore.password": SECRET,
}


class Kdc:
    """A realm with its KDC, below one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_ports(["kdc"])["kdc"]
        self.child = None
        self.krb5_conf = folder / "krb5.conf"

    def tool(self, name):
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if not found:
            raise hadoop.Failed(f"{name} is not there: run tests/servers/system.sh hadoop")
        return found

    def environment(self):
        return {
            **os.environ,
            "KRB5_CONFIG": str(self.krb5_conf),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.folder}/hdfs.cache",
        }

    def run(self, name, *arguments):
        done = subprocess.run(
            [self.tool(name), *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise hadoop.Failed(f"{name} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def keytab(self, principal):
        return self.folder / f"{principal.split('/')[0]}.keytab"

    def make(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        words = {"realm": REALM, "port": self.port, "folder": self.folder}
        self.krb5_conf.write_text(KRB5_CONF.format(**words))
        (self.folder / "kdc.conf").write_text(KDC_CONF.format(**words))
        (self.folder / "acl").write_text("")
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", SECRET)
        orders = [f'modprinc -maxlife "1 hour" -maxrenewlife "1 day" krbtgt/{REALM}']
        for name, (life, renewable) in PRINCIPALS.items():
            orders.append(f'addprinc -randkey -maxlife "{life}" -maxrenewlife "{renewable}" {name}')
            orders.append(f"ktadd -k {self.keytab(name)} {name}")
        script = "".join(f"{order}\n" for order in orders)
        done = subprocess.run(
            [self.tool("kadmin.local"), "-r", REALM],
            env=self.environment(),
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        lacking = [name for name in PRINCIPALS if not self.keytab(name).exists()]
        if done.returncode or lacking:
            raise hadoop.Failed(f"kadmin.local made no keytab of {lacking}: {done.stderr.strip()}")

    def start(self):
        with open(self.folder / "kdc.out", "ab") as log:
            self.child = subprocess.Popen(
                [self.tool("krb5kdc"), "-n", "-r", REALM, "-P", str(self.folder / "pid")],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=hadoop.die_with_parent,  # noqa: PLW1509 (one thread here)
            )
        end = time.monotonic() + 20
        while True:
            try:
                return self.kinit("hdfs/localhost")
            except hadoop.Failed:
                if time.monotonic() > end or self.child.poll() is not None:
                    raise
                time.sleep(0.1)

    def kinit(self, principal):
        self.run("kinit", "-k", "-t", str(self.keytab(principal)), principal)


class Secure(hadoop.Hadoop):
    def __init__(self, options):
        super().__init__(options)
        self.kdc = Kdc(self.work / "kdc")
        self.tls = self.work / "tls"
        self.authority = self.tls / "authority.pem"

    def write_configuration(self):
        if self.kdc.child is None:
            self.secure()
        super().write_configuration()
        stores = {
            "ssl.server.keystore.location": self.tls / "localhost.p12",
            "ssl.server.truststore.location": self.tls / "authority.p12",
        }
        self.xml("ssl-server.xml", {**SSL_SERVER, **stores}, [])

    def secure(self):
        self.kdc.make()
        self.kdc.start()
        self.make_certificates()
        (self.kdc.folder / "signature").write_text("a secret of this cluster")
        self.options.core += self.words(
            {
                "hadoop.security.authentication": "kerberos",
                "hadoop.security.authorization": "true",
                "hadoop.http.filter.initializers": "org.apache.hadoop.security.AuthenticationFilterInitializer",
                "hadoop.http.authentication.type": "kerberos",
                "hadoop.http.authentication.kerberos.principal": f"HTTP/localhost@{REALM}",
                "hadoop.http.authentication.kerberos.keytab": self.kdc.keytab("HTTP/localhost"),
                "hadoop.http.authentication.signature.secret.file": self.kdc.folder / "signature",
                "hadoop.http.authentication.token.validity": COOKIE_SECONDS,
                "hadoop.proxyuser.gate.hosts": "*",
                "hadoop.proxyuser.gate.users": "bob",
                "hadoop.ssl.server.conf": "ssl-server.xml",
            }
        )
        port = {name: f"localhost:{number}" for name, number in self.ports.items()}
        self.options.hdfs += self.words(
            {
                "dfs.http.policy": "HTTPS_ONLY",
                "dfs.namenode.https-address": port["nn_http"],
                "dfs.datanode.https.address": port["dn_http"],
                "dfs.block.access.token.enable": "true",
                "dfs.data.transfer.protection": "authentication",
                "dfs.namenode.kerberos.principal": f"hdfs/localhost@{REALM}",
                "dfs.namenode.keytab.file": self.kdc.keytab("hdfs/localhost"),
                "dfs.datanode.kerberos.principal": f"hdfs/localhost@{REALM}",
                "dfs.datanode.keytab.file": self.kdc.keytab("hdfs/localhost"),
                "dfs.web.authentication.kerberos.principal": f"HTTP/localhost@{REALM}",
                "dfs.web.authentication.kerberos.keytab": self.kdc.keytab("HTTP/localhost"),
            }
        )
        yarn = {"yarn.http.policy": "HTTPS_ONLY"}
        for daemon, web in (("resourcemanager", "rm_http"), ("nodemanager", "nm_http")):
            yarn |= {
                f"yarn.{daemon}.webapp.https.address": port[web],
                f"yarn.{daemon}.principal": f"yarn/localhost@{REALM}",
                f"yarn.{daemon}.keytab": self.kdc.keytab("yarn/localhost"),
                f"yarn.{daemon}.webapp.spnego-principal": f"HTTP/localhost@{REALM}",
                f"yarn.{daemon}.webapp.spnego-keytab-file": self.kdc.keytab("HTTP/localhost"),
            }
        self.options.yarn += self.words(yarn)

    @staticmethod
    def words(settings):
        return [f"{name}={value}" for name, value in settings.items()]

    def make_certificates(self):
        """An authority, and a certificate of localhost that it signed."""
        self.tls.mkdir(parents=True, exist_ok=True)

        def keytool(*arguments):
            done = subprocess.run(
                [f"{self.java_home}/bin/keytool", *arguments, "-storepass", SECRET],
                cwd=self.tls,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise hadoop.Failed(f"keytool: {done.stdout.strip()} {done.stderr.strip()}")

        pair = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2", "-storetype", "pkcs12"]
        keytool(*pair, "-alias", "authority", "-dname", "CN=Test authority", "-ext", "bc:c", "-keystore", "root.p12")
        keytool(*pair, "-alias", "localhost", "-dname", "CN=localhost", "-keystore", "localhost.p12")
        keytool("-exportcert", "-rfc", "-alias", "authority", "-file", "authority.pem", "-keystore", "root.p12")
        keytool("-certreq", "-alias", "localhost", "-file", "localhost.csr", "-keystore", "localhost.p12")
        keytool(
            *["-gencert", "-rfc", "-alias", "authority", "-infile", "localhost.csr", "-outfile", "localhost.pem"],
            *["-validity", "2", "-ext", "san=dns:localhost,ip:127.0.0.1", "-keystore", "root.p12"],
        )
        trust = ["-importcert", "-noprompt", "-alias", "authority", "-file", "authority.pem", "-storetype", "pkcs12"]
        keytool(*trust, "-keystore", "authority.p12")
        keytool(*trust, "-keystore", "localhost.p12")
        keytool("-importcert", "-alias", "localhost", "-file", "localhost.pem", "-keystore", "localhost.p12")

    def command(self, main):
        java, *rest = super().command(main)
        return [java, f"-Djava.security.krb5.conf={self.kdc.krb5_conf}", *rest]

    def wait(self, what, ready):
        try:
            super().wait(what, ready)
        except hadoop.Failed as failure:
            # The folder with the logs is often gone before somebody looks.
            ended = [name for name, child in self.children.items() if child.poll() is not None]
            logs = [(self.work / "log" / f"{name}.log").read_text(errors="replace")[-3000:] for name in ended]
            raise hadoop.Failed("\n".join([str(failure), *logs])) from failure

    def curl(self, port, path, *more, seconds=10):
        """As the superuser of HDFS, by a ticket."""
        done = subprocess.run(
            ["curl", "--silent", "--fail", "--negotiate", "--user", ":", "--cacert", str(self.authority)]
            + ["--max-time", str(seconds), *more, f"https://localhost:{self.ports[port]}{path}"],
            env=self.kdc.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None

    def get(self, port, path):
        answer = self.curl(port, path)
        try:
            return json.loads(answer) if answer else {}
        except ValueError:
            return {}

    def make_folders(self):
        def put(path, query):
            # A loaded machine takes its time for the first write.
            if self.curl("nn_http", f"/webhdfs/v1{path}?{query}", "-X", "PUT", seconds=hadoop.READY_SECONDS) is None:
                raise hadoop.Failed(f"HDFS refuses {query} on {path}")

        for path, mode in (("/tmp", "1777"), ("/flink", "1777"), ("/user", "755")):
            put(path, f"op=MKDIRS&permission={mode}")
        for user in USERS:
            put(f"/user/{user}", "op=MKDIRS&permission=755")
            put(f"/user/{user}", f"op=SETOWNER&owner={user}")

    def describe(self):
        told = super().describe()
        for name in ("resource_manager", "node_manager", "web_hdfs", "data_node"):
            told[name] = told[name].replace("http://", "https://")
        return {
            **told,
            "realm": REALM,
            "krb5_conf": str(self.kdc.krb5_conf),
            "authority": str(self.authority),
            "keytabs": {user: str(self.kdc.keytab(user)) for user in USERS},
        }

    def obey(self, line):
        verb, _, name = line.strip().partition(" ")
        if name != "kdc":
            return super().obey(line)
        if verb == "start":
            self.kdc.start()
        elif verb == "kill":
            self.kdc.child.kill()
            self.kdc.child.wait()
        else:
            raise hadoop.Failed(f"the kdc knows kill and start, not {verb}")
        return {"ok": True, "pid": self.kdc.child.pid}

    def stop(self):
        super().stop()
        if self.kdc.child and self.kdc.child.poll() is None:
            self.kdc.child.kill()
            self.kdc.child.wait()


if __name__ == "__main__":
    if not shutil.which("curl"):
        sys.exit("secure: curl is not there: run tests/servers/system.sh hadoop")
    hadoop.run(Secure(hadoop.arguments(__doc__)))
