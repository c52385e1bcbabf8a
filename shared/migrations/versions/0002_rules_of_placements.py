"""Rules of placements: surprise, exploration, caps and categories.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ADDED = (
    sa.Column("surprise", sa.Float(), nullable=True),
    sa.Column("explore_share", sa.Float(), nullable=True),
    sa.Column("cap", sa.JSON(), nullable=True),
    sa.Column("only_categories", sa.JSON(), nullable=False, server_default="[]"),
    sa.Column("never_categories", sa.JSON(), nullable=False, server_default="[]"),
    sa.Column("most_of_category", sa.Integer(), nullable=True),
)


def upgrade() -> None:
    """Apply this revision. Placements that exist have none of these rules."""
    for column in _ADDED:
        op.add_column("placements", column)


def downgrade() -> None:
    """Undo this revision."""
    for column in reversed(_ADDED):
        op.drop_column("placements", column.name)
