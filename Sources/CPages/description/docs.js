// Shows /openapi.json. Everything from it becomes text nodes and attributes, never markup.
"use strict";

(async () => {
  const byId = (id) => document.getElementById(id);
  const state = byId("state");
  state.textContent = "Reading /openapi.json …";
  let doc;
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    doc = await answer.json();
  } catch (error) {
    state.textContent = `/openapi.json cannot be read: ${error.message}. Reload to try again.`;
    return;
  }

  /** An element; children are nodes, texts, or lists of them. */
  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
    return element;
  }
  const code = (text) => make("code", {}, String(text));
  const resolve = (value) =>
    value && value.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], doc) : value;
  const json = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const compact = (value) => JSON.stringify(value);
  const schemaName = (schema) => schema.$ref.split("/").pop();

  /** `code` and **strong** in a line. */
  function inline(text) {
    return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((piece) => {
      if (piece.length > 2 && piece.startsWith("`")) return code(piece.slice(1, -1));
      if (piece.startsWith("**")) return make("strong", {}, inline(piece.slice(2, -2)));
      return piece;
    });
  }

  /** Paragraphs and lists. */
  function prose(text = "") {
    return text.split("\n\n").filter(Boolean).map((block) =>
      block.startsWith("- ")
        ? make("ul", {}, block.slice(2).split("\n- ").map((item) => make("li", {}, inline(item))))
        : make("p", {}, inline(block)));
  }

  const joined = (lists, separator) => lists.flatMap((list, index) => (index ? [separator, ...list] : list));

  /** What a schema is, in words, with links. */
  function kind(schema) {
    if (schema.$ref) return [make("a", { href: `#schema-${schemaName(schema)}` }, schemaName(schema))];
    if (schema.anyOf) return joined(schema.anyOf.map(kind), " or ");
    if ("const" in schema) return [code(compact(schema.const))];
    if (schema.enum) return joined(schema.enum.map((value) => [code(compact(value))]), ", ");
    if (schema.type === "array") return ["list of ", ...kind(schema.items || {})];
    return [schema.type ? [schema.type].flat().join(" or ") : "anything"];
  }

  const number = (value) => (value > Number.MAX_SAFE_INTEGER ? "2⁶³ − 1" : value.toLocaleString("en"));

  function limits(schema) {
    const range = (low, high, unit) =>
      low === undefined && high === undefined ? [] : [
        [low === undefined ? "at most " + number(high) : high === undefined ? "at least " + number(low)
          : `${number(low)} to ${number(high)}`, unit].join(" ").trim(),
      ];
    const parts = [
      ...range(schema.minimum, schema.maximum, ""), ...range(schema.minLength, schema.maxLength, "characters"),
      ...range(schema.minItems, schema.maxItems, "items"),
      ...(schema.default === undefined ? [] : [["default ", code(compact(schema.default))]]),
      ...(schema.pattern ? [["pattern ", code(schema.pattern)]] : []),
    ];
    return parts.map((part) => [", ", part]);
  }

  const field = (name, required, schema, text) => [
    make("dt", {}, make("strong", {}, code(name)), make("span", { class: "soft" }, required ? " required" : " optional")),
    make("dd", {}, make("div", { class: "soft" }, kind(schema), limits(schema)), prose(text)),
  ];

  function examples(content) {
    const named = Object.entries(content.examples || {}).map(([name, example]) => [name, resolve(example).value]);
    const all = "example" in content ? [["Example", content.example], ...named] : named;
    return all.map(([name, value]) => [make("div", { class: "soft" }, name), make("pre", { tabindex: "0" }, json(value))]);
  }

  const bodies = (content = {}) => Object.entries(content).map(([type, part]) => [
    make("p", { class: "soft" }, code(type), part.schema ? [": ", kind(part.schema)] : []), examples(part),
  ]);

  /** The first example of a parameter or a body. */
  function sample(part) {
    if (part.example !== undefined) return part.example;
    const first = Object.values(part.examples || {})[0];
    return first && resolve(first).value;
  }

  const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

  function curlLine(path, method, operation, parameters, everything) {
    const used = parameters.filter((each) => each.required || everything);
    let url = location.origin + path;
    const query = [];
    const rest = [];
    for (const each of used) {
      const value = sample(each);
      if (value === undefined) continue;
      if (each.in === "path") url = url.replace(`{${each.name}}`, encodeURIComponent(value));
      if (each.in === "query") query.push(`${each.name}=${encodeURIComponent(value)}`);
      if (each.in === "header") rest.push(`-H ${quoted(`${each.name}: ${value}`)}`);
    }
    if (query.length) url = quoted(`${url}?${query.join("&")}`);
    const content = operation.requestBody && operation.requestBody.content;
    const type = content && Object.keys(content)[0];
    if (type === "application/json") rest.push(`--json ${quoted(compact(sample(content[type])))}`);
    else if (type) rest.push(`-H ${quoted(`Content-Type: ${type}`)} --data-binary @FILE`);
    else if (method === "post") rest.unshift("-X POST");
    const answer = Object.keys(operation.responses["200"].content)[0];
    const option = { "text/event-stream": ["-N"], "application/octet-stream": ["-o", "FILE"] }[answer] || [];
    return ["curl", ...option, url, ...rest].join(" ");
  }

  function response(status, reference) {
    const value = resolve(reference);
    const headers = Object.entries(value.headers || {});
    return make("details", { class: "status", open: status < "300" },
      make("summary", {}, make("strong", { class: status < "300" ? "good" : "bad" }, status), " ",
        make("p", {}, inline(value.description))),
      headers.length ? make("dl", { class: "fields" }, headers.map(([name, header]) => {
        const { schema, description, required } = resolve(header);
        return field(name, required, schema, description);
      })) : [],
      bodies(value.content));
  }

  function operationSection(path, method, operation) {
    const parameters = (operation.parameters || []).map(resolve);
    const lines = [...new Set([false, true].map((all) => curlLine(path, method, operation, parameters, all)))];
    return make("section", { id: operation.operationId, class: "operation" },
      make("h3", {}, make("a", { href: `#${operation.operationId}` }, make("span", { class: `method ${method}` }, method.toUpperCase()),
        " ", make("span", { class: "path" }, path)), " ", operation.summary),
      prose(operation.description),
      make("pre", { class: "curl", tabindex: "0" }, lines.join("\n")),
      parameters.length ? [
        make("h4", {}, "Parameters"),
        make("dl", { class: "fields" }, parameters.map((each) =>
          field(each.name, each.required, each.schema, `In the ${each.in}. ${each.description}`))),
      ] : [],
      operation.requestBody ? [make("h4", {}, "Body"), bodies(operation.requestBody.content)] : [],
      make("h4", {}, "Answers"),
      Object.entries(operation.responses).map(([status, value]) => response(status, value)),
      make("p", { class: "soft" }, "operation id ", code(operation.operationId)));
  }

  function schemaSection([name, schema]) {
    const required = schema.required || [];
    return make("section", { id: `schema-${name}` },
      make("h3", {}, make("a", { href: `#schema-${name}` }, name)),
      prose(schema.description),
      schema.type === "object"
        ? [
          make("p", { class: "soft" }, schema.additionalProperties === false ? "object, no other fields" : "object, other fields may follow"),
          make("dl", { class: "fields" }, Object.entries(schema.properties).map(([key, value]) =>
            field(key, required.includes(key), value, value.description))),
        ]
        : make("p", { class: "soft" }, kind(schema), limits(schema)));
  }

  const main = byId("main");
  const toc = byId("toc");
  document.title = `${doc.info.title} ${doc.info.version}: HTTP interface`;
  byId("title").textContent = `${doc.info.title} ${doc.info.version}`;
  byId("summary").textContent = doc.info.summary || "";
  const operations = Object.entries(doc.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
  const entries = [];
  const entry = (href, text, words) => {
    const item = make("li", {}, make("a", { href }, text));
    entries.push({ item, words: words.toLowerCase() });
    return item;
  };
  main.append(make("section", {}, prose(doc.info.description)));
  for (const tag of doc.tags) {
    const tagged = operations.filter(({ operation }) => operation.tags.includes(tag.name));
    main.append(make("section", {}, make("h2", {}, tag.name), prose(tag.description),
      tagged.map(({ path, method, operation }) => operationSection(path, method, operation))));
    toc.append(make("h4", {}, tag.name), make("ul", {}, tagged.map(({ path, method, operation }) =>
      entry(`#${operation.operationId}`, [make("span", { class: `method ${method}` }, method.toUpperCase()), " ", make("span", { class: "path" }, path)],
        `${method} ${path} ${operation.summary} ${operation.operationId}`))));
  }
  const schemas = Object.entries(doc.components.schemas);
  main.append(make("section", {}, make("h2", {}, "Schemas"), schemas.map(schemaSection)));
  toc.append(make("h4", {}, "Schemas"), make("ul", {}, schemas.map(([name]) => entry(`#schema-${name}`, name, name))));
  state.remove();

  byId("contents").open = matchMedia("(min-width: 60rem)").matches;
  const filter = byId("filter");
  filter.disabled = false;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const each of entries) each.item.hidden = !words.every((word) => each.words.includes(word));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target === filter) return;
    event.preventDefault();
    byId("contents").open = true;
    filter.focus();
  });
  if (location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
})();
