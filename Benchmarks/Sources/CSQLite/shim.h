// SQLite, for the ordinary table that validation is measured against.
#include <sqlite3.h>
