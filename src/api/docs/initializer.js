// Begins Swagger UI.
//
// Owns: how the page is laid out, and ids for writes that were given none.
// Promises: nothing is asked of another server; credentials are forgotten with the page.
// Refuses to know: single operations.

"use strict";

/** A write without an id gets a new one, so that what is tried twice is done twice. */
function withId(request) {
  const write = ["POST", "DELETE"].includes(request.method) && new URL(request.url, location).pathname.startsWith("/v1/");
  const has = (name) => Object.keys(request.headers).some((header) => header.toLowerCase() === name);
  const statements = String(request.headers["Content-Type"] ?? "").startsWith("application/jose");
  if (write && !statements && !has("idempotency-key")) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    request.headers["Idempotency-Key"] = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return request;
}

/** Arguments before statements: a form begins with the first media type, and the document sorts them by name. */
function argumentsFirst(spec) {
  for (const item of Object.values(spec.paths)) {
    for (const { requestBody } of Object.values(item)) {
      const json = requestBody?.content["application/json"];
      if (json) requestBody.content = { "application/json": json, ...requestBody.content };
    }
  }
  return spec;
}

window.addEventListener("load", async () => {
  const spec = argumentsFirst(await (await fetch("/openapi.json")).json());
  window.ui = SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "list",
    filter: true,
    displayOperationId: false,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    persistAuthorization: false,
    validatorUrl: null,
    requestInterceptor: withId,
  });
});
