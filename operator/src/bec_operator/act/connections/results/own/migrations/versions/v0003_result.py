"""What handlers have returned, beside the other results."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add it: no row is written anew for that."""
    said = "What the handler has returned, as a JSON object; NULL if it was nothing"
    op.add_column("results", sa.Column("result", JSONB(), comment=said), schema="bec_operator")
