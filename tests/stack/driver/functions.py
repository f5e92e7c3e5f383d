"""Every function that tests can call by name: importing a module puts its functions into the table."""
import connection  # noqa: F401  first: it makes pymilvus' generated code importable

import bulk  # noqa: F401
import ddl  # noqa: F401
import describe  # noqa: F401
import objects  # noqa: F401
import rbac  # noqa: F401
import read  # noqa: F401
import server  # noqa: F401
import write  # noqa: F401
from registry import FUNCTIONS  # noqa: F401
