"""Amazon Bedrock's Converse and ConverseStream, spoken to the service.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and the service
model of bedrock-runtime that comes with botocore.
"""

from lynkr_desktop.engine.wire.bedrock.outgoing import ConverseRequest
from lynkr_desktop.engine.wire.bedrock.upstream import BedrockUpstream, ConverseStreamDecoder

__all__ = ["BedrockUpstream", "ConverseRequest", "ConverseStreamDecoder"]
