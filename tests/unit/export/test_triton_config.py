"""The text of `config.pbtxt`; tests/integration/test_triton_server.py has a server read it."""

from __future__ import annotations

from clipworks.export.triton_config import (
    Accelerator,
    DataType,
    DynamicBatching,
    EnsembleScheduling,
    EnsembleStep,
    ExecutionAccelerators,
    InstanceGroup,
    Kind,
    ModelConfig,
    Optimization,
    Parameter,
    QueuePolicy,
    Tensor,
    write_config,
)

MODEL = ModelConfig(
    name="a-image",
    max_batch_size=8,
    input=(Tensor("pixels", DataType.FP32, (3, 16, 16)),),
    output=(Tensor("embeddings", DataType.FP32, (24,)),),
    backend="onnxruntime",
    dynamic_batching=DynamicBatching((2, 8), 1000, QueuePolicy(128)),
    instance_group=(InstanceGroup(2, Kind.GPU),),
    optimization=Optimization(
        ExecutionAccelerators(
            gpu_execution_accelerator=(Accelerator("tensorrt", {"precision_mode": "FP16"}),)
        )
    ),
    parameters={"say": Parameter('a "word"')},
)

TEXT = """\
name: "a-image"
max_batch_size: 8
input {
  name: "pixels"
  data_type: TYPE_FP32
  dims: [3, 16, 16]
}
output {
  name: "embeddings"
  data_type: TYPE_FP32
  dims: [24]
}
backend: "onnxruntime"
dynamic_batching {
  preferred_batch_size: [2, 8]
  max_queue_delay_microseconds: 1000
  default_queue_policy {
    max_queue_size: 128
  }
}
instance_group {
  count: 2
  kind: KIND_GPU
}
optimization {
  execution_accelerators {
    gpu_execution_accelerator {
      name: "tensorrt"
      parameters {
        key: "precision_mode"
        value: "FP16"
      }
    }
  }
}
parameters {
  key: "say"
  value {
    string_value: "a \\"word\\""
  }
}
response_cache {
  enable: false
}
"""


def test_every_kind_of_field():
    assert write_config(MODEL) == TEXT


def test_an_ensemble_has_its_steps_in_order():
    steps = (
        EnsembleStep("tokenize", {"text": "text"}, {"tokens": "tokens"}),
        EnsembleStep("text", {"tokens": "tokens"}, {"embeddings": "embeddings"}),
    )
    config = ModelConfig(
        "both", 8, (), (), platform="ensemble", ensemble_scheduling=EnsembleScheduling(steps)
    )
    text = write_config(config)
    assert 'platform: "ensemble"' in text
    assert "backend" not in text
    assert text.count("  step {") == 2
    assert text.index('model_name: "tokenize"') < text.index('model_name: "text"')
