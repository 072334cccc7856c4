"""The dashboards."""

from dashboards.boards import delivery, operator, overview, queues, tenant

ALL = (overview.BOARD, tenant.BOARD, delivery.BOARD, queues.BOARD, operator.BOARD)
