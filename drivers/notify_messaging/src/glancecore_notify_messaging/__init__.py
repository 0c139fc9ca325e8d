"""Events as OpenStack notifications, sent by oslo.messaging."""
