// The files that the program serves, as parts of it.

#ifndef CHAIND_PAGES_H
#define CHAIND_PAGES_H

#include <stddef.h>

/// The bytes of a file; they stay for as long as the program runs.
struct page {
    const unsigned char *bytes;
    size_t size_bytes;
};

struct page page_explorer_html(void);
struct page page_explorer_css(void);
struct page page_explorer_js(void);
struct page page_texts_json(void);
struct page page_openapi_json(void);
struct page page_docs_html(void);
struct page page_docs_css(void);
struct page page_docs_js(void);

#endif
