/**
 * First-party cookies for the whole site: on the highest domain that the browser lets us write to, found by trying,
 * because no list of public suffixes fits into a script. The depth of that domain is Meta's subdomain index.
 */

const PROBE = "_sinal_probe";

export interface Jar {
  look(name: string): string | undefined;
  bake(name: string, value: string, days: number): void;
  drop(name: string): void;
  /** The domain that cookies share, empty for a host by itself, and its depth: labels less one, 1 for such a host. */
  site(): Site;
}

export interface Site {
  domain: string;
  depth: number;
}

/** Domains to try, from the shortest: `www.loja.com.br` gives com.br, loja.com.br, www.loja.com.br. */
export function candidates(host: string): string[] {
  const labels = host.split(".");
  return labels.slice(1).map((_, at) => labels.slice(-2 - at).join("."));
}

/** The cookies of a document, none where it may have none; nothing is written before the first `bake` or `site`. */
export function openJar(page: { cookie: string }, { hostname, protocol }: Pick<Location, "hostname" | "protocol">): Jar {
  let known: Site | undefined;

  const write = (name: string, value: string, days: number, domain: string) => {
    const where = (domain && ";domain=" + domain) + (protocol === "https:" ? ";secure" : "");
    try {
      page.cookie = `${name}=${value};path=/;max-age=${days * 86400};samesite=lax` + where;
    } catch {}
  };
  const look = (name: string) => {
    try {
      return page.cookie.split("; ").filter((pair) => pair.startsWith(name + "="))[0]!.slice(name.length + 1);
    } catch {}
  };
  const isOurs = (domain: string) => {
    write(PROBE, "1", 1, domain);
    const taken = look(PROBE);
    write(PROBE, "", -1, domain);
    return taken;
  };
  const site = () => {
    if (!known) {
      const domain = candidates(hostname).find(isOurs) || "";
      known = { domain, depth: domain.split(".").length - 1 || 1 };
    }
    return known;
  };
  return {
    look,
    bake: (name, value, days) => write(name, value, days, site().domain),
    drop: (name) => ["", ...candidates(hostname)].forEach((domain) => write(name, "", -1, domain)),
    site,
  };
}
