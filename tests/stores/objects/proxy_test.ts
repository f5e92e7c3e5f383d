import assert from "node:assert/strict";
import { proxyFor } from "../../../stores/objects/proxy.ts";

const of = (url: string, env: Record<string, string>) => proxyFor(url, (name) => env[name]);

Deno.test("proxyFor takes the proxy of the URL's scheme, in small letters first", () => {
  assert.equal(of("https://s3.example.com", {}), undefined);
  assert.equal(of("https://s3.example.com", { HTTP_PROXY: "http://p:1" }), undefined);
  assert.equal(of("https://s3.example.com", { HTTPS_PROXY: "http://p:1", https_proxy: "http://q:2" }), "http://q:2");
  assert.equal(of("http://s3.example.com", { http_proxy: "p:1" }), "http://p:1");
  assert.equal(of("http://s3.example.com", { ALL_PROXY: "http://p:1" }), "http://p:1");
  assert.equal(of("http://s3.example.com", { http_proxy: "", HTTP_PROXY: "" }), undefined);
});

Deno.test("proxyFor leaves out what NO_PROXY names: a host, what is below a domain, a port, everything", () => {
  const env = (names: string) => ({ HTTP_PROXY: "http://p:1", NO_PROXY: names });
  for (const names of ["minio", ".local, minio", "*", "minio:9000", "other minio"]) {
    assert.equal(of("http://minio:9000", env(names)), undefined, names);
  }
  for (const names of ["", "mini", "minio:80", "io"]) {
    assert.equal(of("http://minio:9000", env(names)), "http://p:1", names);
  }
  assert.equal(of("http://a.example.com", env(".example.com")), undefined);
  assert.equal(of("http://a.example.com", env("*.example.com")), undefined);
  assert.equal(of("http://badexample.com", env("example.com")), "http://p:1");
});
