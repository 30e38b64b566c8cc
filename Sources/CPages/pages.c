// Takes the files in as they are (C23, 6.10.4): as an array in Swift each would take the compiler minutes.

#include "pages.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char explorer_html[] = {
#embed "explorer/page.html"
};
static const unsigned char explorer_css[] = {
#embed "explorer/explorer.css"
};
static const unsigned char explorer_js[] = {
#embed "explorer/explorer.js"
};
static const unsigned char texts_json[] = {
#embed "explorer/texts.json"
};
static const unsigned char openapi_json[] = {
#embed "description/openapi.json"
};
static const unsigned char docs_html[] = {
#embed "description/docs.html"
};
static const unsigned char docs_css[] = {
#embed "description/docs.css"
};
static const unsigned char docs_js[] = {
#embed "description/docs.js"
};

#define PAGE(name) \
    struct page page_##name(void) { return (struct page){name, sizeof name}; }

PAGE(explorer_html)
PAGE(explorer_css)
PAGE(explorer_js)
PAGE(texts_json)
PAGE(openapi_json)
PAGE(docs_html)
PAGE(docs_css)
PAGE(docs_js)
